"""Eight clips and their landmarks."""

from tests.support.stubs.payload import named, run

run(named(*(f"clip_{number}.{suffix}" for number in range(8) for suffix in ("mp4", "csv"))))
