"""Running several ranks on this machine, as torchrun does, for the tests and the campaign."""

import os
import socket
import subprocess
import sys


def torchrun(count: int, *arguments: object, module: str = "pix2pix", **options) -> subprocess.Popen:
    """Starts `torchrun --nproc-per-node count -m module arguments...`, in a session of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--master-addr", "127.0.0.1", "--master-port", str(port), "--nproc-per-node", str(count))
    command = [sys.executable, "-m", "torch.distributed.run", *where, "-m", module, *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | options.pop("env", {})
    return subprocess.Popen(command, env=environment, **(streams | options))
