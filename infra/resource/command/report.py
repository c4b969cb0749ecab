# Tells Steer what a run of ansible-playbook did: one JSON object a line, written to
# the file that STEER_EVENTS names. No values of modules but their messages.
import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: report
type: stdout
short_description: one JSON object for each task
description: writes what each task did, and the recap, to a file
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "report"

    def _tell(self, **event):
        with open(os.environ["STEER_EVENTS"], "a", encoding="utf-8") as f:
            f.write(json.dumps(event) + "\n")

    def _task(self, result, outcome):
        values = result._result
        message = values.get("msg") or values.get("stderr") or values.get("reason") or ""
        failed_items = [i.get("msg") for i in values.get("results", []) if isinstance(i, dict) and i.get("failed")]
        if failed_items:
            message = "; ".join(str(m) for m in failed_items[:5])
        self._tell(
            task=result._task.get_name(),
            action=result._task.action,
            outcome=outcome,
            changed=bool(values.get("changed")),
            message=str(message)[-1000:],
        )

    def v2_runner_on_ok(self, result):
        self._task(result, "ok")

    def v2_runner_on_skipped(self, result):
        self._task(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self._task(result, "failed")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._task(result, "ignored" if ignore_errors else "failed")

    def v2_playbook_on_stats(self, stats):
        hosts = {h: stats.summarize(h) for h in stats.processed}
        self._tell(recap=hosts)
