// The page through which tests/crash/fault_shim.c is told what shall fail in a running program.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { program } from './support.mjs';

export const shim = resolve(dirname(program), '../tests/crash/fault.so');
export const hasShim = existsSync(shim);

/** Whether a small file system can be mounted here, to be filled. */
export const canMount = process.getuid() === 0 && (() => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0;
  if (mounted) spawnSync('umount', [folder]);
  rmSync(folder, { recursive: true, force: true });
  return mounted;
})();

export const KINDS = { write: 0, sync: 1, memory: 2, room: 3, name: 4 };
export const ERRNO = { EIO: 5, ENOMEM: 12, ENOSPC: 28, EDQUOT: 122 };
const MEMBERS = ['countdown', 'number', 'forever', 'torn', 'calls', 'fired'];
const NUMBERS = Object.keys(KINDS).length * MEMBERS.length + 3;

export class Faults {
  constructor(path) {
    writeFileSync(path, Buffer.alloc(NUMBERS * 8));
    this.fd = openSync(path, 'r+');
    this.env = { LD_PRELOAD: shim, SHANHAI_FAULT: path };
  }

  #put(at, value) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    writeSync(this.fd, bytes, 0, 8, at * 8);
  }

  #get(at) {
    const bytes = Buffer.alloc(8);
    readSync(this.fd, bytes, 0, 8, at * 8);
    return Number(bytes.readBigInt64LE());
  }

  #at(kind, member) {
    return KINDS[kind] * MEMBERS.length + MEMBERS.indexOf(member);
  }

  // The n-th call from now on fails (and, with `forever`, all after it).
  arm(kind, n, { number = ERRNO.EIO, forever = false, torn = false } = {}) {
    this.#put(this.#at(kind, 'number'), number);
    this.#put(this.#at(kind, 'forever'), forever ? 1 : 0);
    this.#put(this.#at(kind, 'torn'), torn ? 1 : 0);
    this.#put(this.#at(kind, 'fired'), 0);
    this.#put(this.#at(kind, 'countdown'), n);
  }

  // Nothing fails any more. Says how often something did.
  disarm() {
    let fired = 0;
    for (const kind of Object.keys(KINDS)) {
      this.#put(this.#at(kind, 'countdown'), 0);
      fired += this.#get(this.#at(kind, 'fired'));
      this.#put(this.#at(kind, 'fired'), 0);
    }
    return fired;
  }

  calls(kind) {
    return this.#get(this.#at(kind, 'calls'));
  }

  diskFull(full) {
    this.#put(NUMBERS - 3, full ? 1 : 0);
  }

  clockOffset(ms) {
    this.#put(NUMBERS - 2, ms);
  }

  close() {
    closeSync(this.fd);
  }
}
