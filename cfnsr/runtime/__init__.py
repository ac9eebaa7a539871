"""How a run behaves: outputs, processes, parallel work, DVC. Changes no result, so no stage depends on it."""
