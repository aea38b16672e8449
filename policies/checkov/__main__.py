"""Scan both stacks: ``python -m policies.checkov``. Exit codes: 0 all is answered, 1 findings, 2 it could not run."""

import sys
from pathlib import Path

from policies.checkov import ANSWERS, answers, stale, unanswered
from policies.checkov.scanning import ScanError, install, scan
from preview.recording.program import make_plan
from sandbox.common.errors import SandboxError

_BUILD = Path("build") / "checkov"


def main() -> int:
    given = answers()
    stacks = sorted({stack for answer in given for stack in answer.stacks})
    try:
        checkov = install(_BUILD)
        found = [
            failed
            for stack in stacks
            for failed in scan(checkov, make_plan(stack, Path.cwd()), _BUILD / stack)
        ]
    except (ScanError, SandboxError) as error:
        print(error, file=sys.stderr)
        return 2
    for failed in unanswered(found, given):
        print(f"{failed.stack}: {failed.check} {failed.resource}: {failed.title}")
    for entry in stale(found, given):
        print(f"{ANSWERS.name}: {entry} answers nothing any more: remove it")
    print(f"{len(found)} findings, {len(unanswered(found, given))} without an answer")
    return 1 if unanswered(found, given) or stale(found, given) else 0


if __name__ == "__main__":
    sys.exit(main())
