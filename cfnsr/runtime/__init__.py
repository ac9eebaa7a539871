"""How a run behaves. Changes no result."""
