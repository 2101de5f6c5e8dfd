"""The cheapest agent there is: it says READY where it has somebody to say it to, and ends.

Standard library only, and started with `python -I -S`, so that what is measured is the engine around it.
"""

import json
import os
from http.client import HTTPConnection
from urllib.parse import urlsplit


def main() -> None:
    """Give the verdict; without an orchestrator in the environment just end."""
    url = os.environ.get("EGG_ORCHESTRATOR_URL")
    if url is None:
        return
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = json.dumps({"signal_type": "readiness", "state": "READY", "reason": "there is nothing to do"})
    headers = {
        "Authorization": f"Bearer {os.environ['EGG_SESSION_TOKEN']}",
        "Content-Type": "application/json",
    }
    connection.request("POST", f"/api/v1/pipelines/{os.environ['EGG_PIPELINE_ID']}/signal", body, headers)
    answer = connection.getresponse()
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
        raise SystemExit(answer.read().decode())


if __name__ == "__main__":
    main()
