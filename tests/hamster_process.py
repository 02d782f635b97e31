"""A real hamster process for tests: founded, served, killed and restarted by the pid we started."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("HAMSTER", os.path.join(ROOT, "build", "release", "hamster"))
ACCESS_KEY = "hamster"
SECRET_KEY = "keep-this-one-secret"
START_LIMIT_S = 120  # a hang, not a promise: only then the test gives up


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HAMSTER_"))}
    env["HAMSTER_ACCESS_KEY_ID"] = ACCESS_KEY
    env["HAMSTER_SECRET_ACCESS_KEY"] = SECRET_KEY
    return env


class Hamster:
    """One node in its own directory. Use as a context manager."""

    def __init__(self, data_dir=None, extra=(), init=True):
        self.own_dir = data_dir is None
        self.home = tempfile.mkdtemp(prefix="hamster-test-") if self.own_dir else None
        self.data_dir = data_dir or os.path.join(self.home, "data")
        self.port = free_port()
        self.admin_port = free_port()
        self.cluster_port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.extra = list(extra)
        self.process = None
        self.log_path = os.path.join(self.home or tempfile.mkdtemp(prefix="hamster-log-"), "log")
        if init and not os.path.exists(os.path.join(self.data_dir, "hamster.format")):
            run = self.cli("init", "-data-dir", self.data_dir)
            assert run.returncode == 0, run.stderr

    def cli(self, *args, **kwargs):
        return subprocess.run([BINARY, *args], env=environment(), capture_output=True, text=True,
                              timeout=START_LIMIT_S, **kwargs)

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [BINARY, "serve", "-data-dir", self.data_dir, "-s3", f"127.0.0.1:{self.port}",
             "-admin", f"127.0.0.1:{self.admin_port}", "-listen",
             f"127.0.0.1:{self.cluster_port}", *self.extra],
            env=environment(), stdout=log, stderr=log, start_new_session=True)
        log.close()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        """Returns the seconds from the call to the first good answer of /readyz."""
        start = time.monotonic()
        while time.monotonic() - start < START_LIMIT_S:
            if self.process.poll() is not None:
                raise AssertionError(f"serve ended with {self.process.returncode}:\n{self.log()}")
            try:
                with urllib.request.urlopen(self.admin + "/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return time.monotonic() - start
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f"not ready after {START_LIMIT_S} s:\n{self.log()}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()[-8000:]

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        return self.process.wait(timeout=START_LIMIT_S)

    def stop(self):
        """SIGTERM; the exit code."""
        return self.kill(signal.SIGTERM)

    def metrics(self):
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name):
        """Sum of a metric over its labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            if line.startswith(name) and line[len(name):len(name) + 1] in ("{", " "):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.own_dir:
            shutil.rmtree(self.home, ignore_errors=True)


def aws_environment(hamster, home):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HAMSTER_"))}
    env.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY,
               AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1",
               AWS_ENDPOINT_URL=hamster.endpoint, HOME=str(home),
               AWS_EC2_METADATA_DISABLED="true")
    return env
