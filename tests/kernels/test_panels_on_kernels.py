"""The panels' logic on the kernels of Colab, Binder and today, driven as a front end drives it: by comm messages."""

import time

import jupyter_client
import pytest

from tests.kernels.environments import kernel_python

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.elsewhere]

PREPARE = """
import courselib, json, threading
server = courselib.launch("llama.cpp", context=1024)
panel = courselib.Playground(server, prompt="Count to three.")
panel.form.controls = panel.form.controls.with_(max_tokens=16)
desk = courselib.Deploy(context=512)
print(json.dumps({
    "send": panel.run_button.comm.comm_id, "cancel": panel.cancel_button.comm.comm_id,
    "prompt": panel.inputs['prompt'].comm.comm_id, "form": panel.form.comm.comm_id,
    "start": desk.start_button.comm.comm_id, "stop": desk.stop_button.comm.comm_id,
}))
"""


@pytest.fixture(params=["colab", "binder", "current"])
def kernel(request):
    python = kernel_python(request.param)
    manager = jupyter_client.KernelManager()
    manager.kernel_spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=90)
    yield Kernel(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


class Kernel:
    """A front end without a screen: runs cells, and clicks in a subshell where the kernel has them, as JupyterLab."""

    def __init__(self, client):
        self.client = client
        self.subshell = None
        features = client.kernel_info(reply=True, timeout=30)["content"].get("supported_features", [])
        if "kernel subshells" in features:
            message = client.session.msg("create_subshell_request", {})
            client.control_channel.send(message)
            reply = client.get_control_msg(timeout=30)
            self.subshell = reply["content"].get("subshell_id")

    def run(self, code):
        printed = []

        def hook(message):
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, timeout=90, output_hook=hook)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed).strip()

    def comm(self, comm_id, data):
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def click(self, comm_id):
        self.comm(comm_id, {"method": "custom", "content": {"event": "click"}})

    def until(self, expression, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.run(f"print({expression})") == "True":
                return
            time.sleep(0.2)
        pytest.fail(f"{expression} did not come true; " + self.run("print(panel.as_table(), desk.as_table())"))


def test_playground_and_deploy(kernel):
    import json

    ids = json.loads(kernel.run(PREPARE).splitlines()[-1])
    kernel.click(ids["send"])
    kernel.until("panel.state == 'done'")
    assert kernel.run("print(0 < panel.answer.completion_tokens <= 16 and len(panel.answer_view.spans) > 2)") == "True"

    # An error is shown, not lost.
    kernel.comm(ids["prompt"], {"method": "update", "state": {"value": "  "}})
    kernel.until("panel.prompt == '  '")  # ipykernel 7.4 may answer two messages of a subshell in either order
    kernel.click(ids["send"])
    kernel.until("panel.state == 'failed' and 'prompt is empty' in panel._error.value")

    # Cancel takes effect while the answer streams, and a cell runs meanwhile.
    kernel.comm(ids["prompt"], {"method": "update", "state": {"value": "Tell me a long story"}})
    kernel.until("panel.prompt.startswith('Tell')")
    kernel.comm(ids["form"], {"method": "update", "state": {"entries": {"max_tokens": 900, "temperature": 0.5}}})
    kernel.until("panel.form.controls.max_tokens == 900")
    kernel.click(ids["send"])
    kernel.until("panel.state == 'busy' and len(panel.answer_view.text) > 20")
    kernel.click(ids["cancel"])
    kernel.until("panel.state == 'cancelled'", 10)
    assert kernel.run("print(panel.answer is None)") == "True"

    # The desk starts and stops a server of its own.
    kernel.click(ids["start"])
    kernel.until("desk.server is not None and desk.state == 'running'")
    kernel.click(ids["stop"])
    kernel.until("desk.server is None and desk.state == 'stopped'")
    kernel.run("server.stop()")


def test_launch_from_a_thread_of_the_learners_own(kernel):
    kernel.run(
        "import courselib, threading\n"
        "found = []\n"
        "thread = threading.Thread(target=lambda: found.append(courselib.launch('llama.cpp', context=256)))\n"
        "thread.start(); thread.join(60)"
    )
    assert kernel.run("print(found[0].is_running()); found[0].stop()") == "True"
