"""An empty folder: studio publishes no landmarks apart from its clips."""

from tests.support.stubs.payload import run

run(lambda call: call.write(call.outputs[0]))
