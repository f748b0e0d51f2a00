"""Running several ranks on this machine, as torchrun does, for the tests and the campaign."""

import os
import socket
import subprocess
import sys


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def rank_variables(rank: int, ranks: int, port: int) -> dict[str, str]:
    """The environment variables by which a process is one of several ranks, without torchrun."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
    texts = {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    return texts | {name: str(value) for name, value in numbers.items()}


def torchrun(count: int, *arguments: object, module: str = "pix2pix", **options) -> subprocess.Popen:
    """Starts `torchrun --nproc-per-node count -m module arguments...`, in a session of its own."""
    where = ("--master-addr", "127.0.0.1", "--master-port", str(free_port()), "--nproc-per-node", str(count))
    command = [sys.executable, "-m", "torch.distributed.run", *where, "-m", module, *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | options.pop("env", {})
    return subprocess.Popen(command, env=environment, **(streams | options))
