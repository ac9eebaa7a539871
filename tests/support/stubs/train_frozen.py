"""The files of a job."""

from tests.support.stubs.payload import job, run

run(job)
