"""A phase that is repeated until its results converge, through the front door."""

from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.acceptance.faulty_agents import READY, WORK
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

CODER = f"cp $EGG_PROMPT_FILE $STAGE/prompt-$EGG_ITERATION; {WORK}; {READY}"
TESTER = f"""
if test $EGG_ITERATION = 1; then
    egg result submit '{{"status": "partial", "summary": "0", "test_pass_rate": "50%", "failed_tests": "t"}}'
else
    printf '**PHASE_RESULT:**\\n- status: success\\n- summary: all well\\n- test_pass_rate: 95%%\\n'
fi
{READY}
"""


def test_a_phase_is_repeated_with_feedback_until_it_converges(egg: Egg, shop: Path, tmp_path: Path) -> None:
    stage = Stage(egg, shop, tmp_path)
    tester = {"role": "tester", "needs": ["coder"], "reviews": ["coder"]}

    stage.play(
        "cycle",
        {"coder": CODER, "tester": TESTER},
        roles=[{"role": "coder"}, tester],
        mode="waves",
        convergence={"test_pass_rate": 90},
    )

    assert stage.end("cycle") == ("complete", "consensus")
    phases = egg.json("phase", "list", "cycle")["phases"][::-1]
    assert [(phase["iteration"], phase["iterations_used"]) for phase in phases] == [(1, 1), (2, 2)]
    lack = "- test_pass_rate is 50 by tester, at least 90 is asked for; failed: t\n"
    assert lack not in (tmp_path / "prompt-1").read_text()
    assert lack in (tmp_path / "prompt-2").read_text()
    results = egg.json("result", "list", "cycle")["results"][::-1]
    assert [(row["parse_status"], row["fields"]["test_pass_rate"]) for row in results] == [
        ("submitted", 50.0),
        ("parsed", 95.0),
    ]
