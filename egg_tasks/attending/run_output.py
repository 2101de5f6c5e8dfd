"""The output of an agent run, as its backend reads it."""

from uuid import UUID

from egg_tasks.ports import Runner


class RunOutput:
    """What a run has written, read from its runner piece by piece: nothing of it is read twice or kept."""

    def __init__(self, runner: Runner, run_id: UUID) -> None:
        self._runner = runner
        self._run_id = run_id

    def end(self, most: int) -> bytes:
        """Its last *most* bytes, however long it is, and however long something writes to it."""
        begin = max(0, self._length(most) - most)
        return self._runner.read_log(self._run_id, offset=begin, limit=most)

    def _length(self, step: int) -> int:
        """How long it is, found by asking what is there."""
        below, beyond = 0, step
        while self._is_there(beyond):
            below, beyond = beyond, 2 * beyond
        while beyond - below > 1:
            middle = (below + beyond) // 2
            if self._is_there(middle):
                below = middle
            else:
                beyond = middle
        return beyond

    def _is_there(self, offset: int) -> bool:
        return bool(self._runner.read_log(self._run_id, offset=offset, limit=1))
