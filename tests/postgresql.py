"""A throw-away PostgreSQL cluster of Debian's package for the test run: its own folder, a private socket, no TCP, nothing that a
power cut would survive (what is killed here are processes)."""
import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTINGS = {'listen_addresses': '', 'fsync': 'off', 'full_page_writes': 'off', 'shared_buffers': '64MB', 'max_connections': '300',
            'autovacuum_naptime': '10s', 'max_wal_size': '2GB', 'log_min_messages': 'error'}


def programs():
    """The folder of initdb and pg_ctl; None where the package is not installed."""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb'))
    return Path(found[-1]).parent if found and shutil.which('psql') else None


def as_somebody():
    """The server refuses root: then it runs as the package's account, or nobody."""
    if os.getuid() != 0:
        return [], None
    names = {p.pw_name for p in pwd.getpwall()}
    name = 'postgres' if 'postgres' in names else 'nobody'
    account = pwd.getpwnam(name)
    return ['setpriv', f'--reuid={account.pw_uid}', f'--regid={account.pw_gid}', '--clear-groups'], account


# For benches: as a server is run, with memory for the tables and a sync a commit.
DURABLE = {'listen_addresses': '', 'shared_buffers': '512MB', 'max_connections': '100', 'max_wal_size': '4GB', 'min_wal_size': '2GB', 'wal_compression': 'on'}
LOG_FILES = 64  # of 16 MB


class Cluster:
    def __init__(self, folder, settings=None):
        self.settings = settings or SETTINGS
        self.folder = Path(folder)
        self.prefix, account = as_somebody()
        self.data, self.socket = self.folder / 'data', self.folder / 'socket'
        self.url = f'postgresql://shanhai@/postgres?host={self.socket}'
        self.socket.mkdir()
        if account:
            for path in (self.folder, self.socket):
                os.chown(path, account.pw_uid, account.pw_gid)
            os.chmod(self.folder, 0o755)

    def call(self, name, *words):
        return subprocess.run([*self.prefix, str(programs() / name), *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def make(self):
        made = self.call('initdb', '-D', str(self.data), '-U', 'shanhai', '--auth=trust', '-E', 'UTF8', '--locale=C', '-N')
        if made != 0:
            raise RuntimeError('initdb failed')
        with open(self.data / 'postgresql.conf', 'a') as conf:
            conf.write(f"unix_socket_directories = '{self.socket}'\n")
            conf.writelines(f"{key} = '{value}'\n" for key, value in self.settings.items())

    def start(self):
        """Also after a kill: as soon as the processes that the dead one left behind are gone."""
        for _ in range(20):
            if self.call('pg_ctl', '-D', str(self.data), '-w', '-t', '60', '-l', str(self.socket / 'log'), 'start') == 0:
                return
            time.sleep(0.2)
        raise RuntimeError('the PostgreSQL server did not start')

    def warm(self):
        """As a server that has run for an hour: files of the log are there and are used again, instead of each being made."""
        url = self.url.replace('?', '?options=-cclient_min_messages%3Derror&')
        switch = "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, '', 'x')"
        text = ';'.join([switch] * LOG_FILES + ['CHECKPOINT', switch, 'CHECKPOINT'])
        subprocess.run(['psql', '-X', '-q', '-o', os.devnull, '-d', url], input=text, text=True, check=True)

    def stop(self, mode='immediate'):
        self.call('pg_ctl', '-D', str(self.data), '-w', '-m', mode, 'stop')


@contextlib.contextmanager
def cluster(settings=None, parent=None):
    folder = tempfile.mkdtemp(prefix='shanhai-pg-', dir=parent)
    made = Cluster(folder, settings)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def attach(data):
    """The cluster of a folder that another process made, for a test that kills its server."""
    made = Cluster.__new__(Cluster)
    made.folder, made.data, made.socket = Path(data).parent, Path(data), Path(data).parent / 'socket'
    made.prefix, _ = as_somebody()
    return made


if __name__ == '__main__':
    if sys.argv[1] == 'kill':
        os.kill(int((Path(sys.argv[2]) / 'postmaster.pid').read_text().split()[0]), signal.SIGKILL)
    elif sys.argv[1] == 'start':
        attach(sys.argv[2]).start()
    elif sys.argv[1] == 'another':  # for a test that wants a server of its own, until its input ends
        with cluster() as made:
            print(made.url, flush=True)
            sys.stdin.read()
    elif sys.argv[1] == 'bench':  # until its input ends
        with cluster(DURABLE, sys.argv[2]) as durable:
            durable.warm()
            print(durable.url, flush=True)
            sys.stdin.read()
