"""Does to Whisper files what it is told, one JSON object a line, with Graphite's
own library, and answers with a line each."""
import json
import sys

import whisper

for line in sys.stdin:
    r = json.loads(line)
    answer = None
    if r["op"] == "create":
        whisper.create(r["path"], [tuple(a) for a in r["archives"]], r["xff"], r["method"])
    elif r["op"] == "update":
        whisper.update_many(r["path"], r["points"], now=r["now"])
    elif r["op"] == "fetch":
        answer = whisper.fetch(r["path"], r["from"], r["until"], now=r["now"])
    elif r["op"] == "info":
        answer = whisper.info(r["path"])
    print(json.dumps(answer), flush=True)
