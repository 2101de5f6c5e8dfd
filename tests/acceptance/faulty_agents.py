"""Scripts of agents with a fault planted in each. STAGE is where they leave what a test looks for."""

READY = "egg signal readiness --state READY"
WORK = "echo $EGG_AGENT_RUN_ID > work.txt && git add . && git commit -qm work"
OBJECT = "egg signal readiness --state OBJECTING --about coder --reason 'it is wrong'"

SPEAK = """
import json, os, pathlib, sys, threading, time, urllib.error, urllib.request
STAGE, PIPELINE = pathlib.Path(os.environ["STAGE"]), "/pipelines/" + os.environ["EGG_PIPELINE_ID"]

def speak(path, body=None):
    request = urllib.request.Request(
        os.environ["EGG_ORCHESTRATOR_URL"] + "/api/v1" + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["EGG_SESSION_TOKEN"],
                 "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)

def until(is_so):
    while not is_so():
        time.sleep(0.1)

def write(name, answers):
    (STAGE / f"{name}.new").write_text(json.dumps(answers))
    (STAGE / f"{name}.new").rename(STAGE / name)
"""
"""How a script speaks to the orchestrator with its token alone; it writes down what it was answered."""

FORGE = (
    SPEAK
    + """
write("forged", [
    speak(PIPELINE + "/signal", {"signal_type": "readiness", "state": "READY", "role": "tester"}),
    speak(PIPELINE + "/messages", {"message_type": "STATUS", "body": "mine", "from_role": "tester"}),
])
sys.exit(os.system("egg signal readiness --state READY"))
"""
)

PRESUME = (
    SPEAK
    + """
def pending():
    found = speak(PIPELINE + "/decisions?status=pending")[1]["data"]["decisions"]
    return found and found[0]["id"]

until(pending)
path = PIPELINE + f"/decisions/{pending()}/resolve"
write("presumed", [speak(path, {"resolution": "Continue without"})])
sys.exit(os.system("egg signal readiness --state READY"))
"""
)

LINGER = (
    SPEAK
    + """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("late.txt").write_text("late")
(STAGE / "lingers").touch()
until((STAGE / "cancelled").exists)
write("lingered", [
    speak(PIPELINE + "/messages", {"message_type": "STATUS", "body": "late"}),
    speak(PIPELINE + "/signal", {"signal_type": "readiness", "state": "READY"}),
    speak(PIPELINE + "/sync", {}),
])
"""
)

FLOOD = (
    SPEAK
    + """
sent = []

def flood(writer):
    number = 0
    while number < 75 or not (STAGE / "polite").exists():
        body = f"{writer}/{number}"
        status, _ = speak(PIPELINE + "/messages", {"message_type": "STATUS", "body": body})
        if status == 429:
            time.sleep(0.2)
            continue
        if status >= 300 or number > 2000:
            os._exit(7)
        sent.append(body)
        number += 1
        if number == 20:
            (STAGE / "flooded").touch()

threads = [threading.Thread(target=flood, args=(writer,)) for writer in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
write("sent", sent)
sys.exit(os.system("egg signal readiness --state READY"))
"""
)
POLITE = (
    "until test -e $STAGE/flooded; do sleep 0.1; done;"
    " egg message send --to flooder --type STATUS --body please && egg message poll --limit 1"
    f" && {READY} && touch $STAGE/polite"
)

DIE = (
    f'if grep -q "unpublished work" $EGG_PROMPT_FILE; then test -e torn.txt && {READY}; exit; fi;'
    " echo half > torn.txt; touch $STAGE/torn; sleep 600"
)

PUSH = f"{WORK}; git push origin HEAD:main 2> $STAGE/push.err; echo $? > $STAGE/pushed; {READY}"

TRAP = """
for name in clean smudge; do git config filter.trap.$name "sh $STAGE/trap $name"; done
git config filter.trap.process "sh $STAGE/trap process"
git config core.fsmonitor "sh $STAGE/trap fsmonitor"
git config core.sshCommand "sh $STAGE/trap ssh"
git config uploadpack.packObjectsHook "sh $STAGE/trap pack"
git config diff.external "sh $STAGE/trap diff"
git config merge.trap.driver "sh $STAGE/trap merge"
git config gpg.program "sh $STAGE/trap gpg"
git config commit.gpgSign true
mkdir -p .git/hooks traps
for hook in pre-commit post-commit post-checkout post-merge reference-transaction post-index-change; do
    printf '#!/bin/sh\\nsh %s/trap %s\\n' "$STAGE" $hook > .git/hooks/$hook
    chmod +x .git/hooks/$hook
    cp .git/hooks/$hook traps
done
git config core.hooksPath "$PWD/traps"
"""
SET_TRAPS = (
    f"if grep -q 'without a verdict' $EGG_PROMPT_FILE; then {TRAP} {READY}; exit; fi\n"
    "printf '* merge=trap diff=trap\\n*.bin filter=trap\\n' > .gitattributes\n"
    "git add .; git commit -qm attributes\n"
    f"{TRAP} echo left > left.txt; echo left > left.bin"
)
"""First it leaves work to be saved, in a clone full of traps; the next run is taken from such a clone.

What only its filter could save as it is meant stays where it is.
"""

ENDLESS = """
trap 'cp $EGG_SIGNAL_FILE $STAGE/told-$(head -n 1 $EGG_SIGNAL_FILE)' USR1
echo $EGG_SOFT_DEADLINE > $STAGE/deadline; echo half > half.txt
while :; do sleep 0.1; done
"""
"""It never comes to an end, and keeps what it is told."""

LATE = f"trap 'is_told=1' USR1; until test $is_told; do sleep 0.1; done; {WORK}; {READY}"
"""It comes to an end when it is told to, and not before; its reviewer has then seen nothing of it."""
