"""One table."""

from tests.support.stubs.payload import named, run

run(named())
