"""How the machine that this process is on does."""

import socket

import psutil

from task_queue.scheduler_api import NodeReading


def read_node() -> NodeReading:
    """The figures now; processor use is since the last call in this process, 0 at the first."""
    network, disk = psutil.net_io_counters(), psutil.disk_io_counters()
    return NodeReading(
        node=socket.gethostname(),
        cpu_percent=psutil.cpu_percent(interval=None),
        memory_percent=psutil.virtual_memory().percent,
        disk_percent=psutil.disk_usage("/").percent,
        network_in_bytes=network.bytes_recv,
        network_out_bytes=network.bytes_sent,
        disk_read_bytes=disk.read_bytes if disk is not None else 0,  # a machine without disks
        disk_write_bytes=disk.write_bytes if disk is not None else 0,
    )
