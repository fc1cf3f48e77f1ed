import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

const ENTRY_BYTES_MAX = 200 * 1024;
const dist = join(__dirname, '..', 'dist');
const html = existsSync(join(dist, 'index.html')) ? readFileSync(join(dist, 'index.html'), 'utf8') : undefined;

/** A chunk and all that it imports before it can run; imports made later by a person's step are not among them. */
function closure(start: string[]): Set<string> {
  const seen = new Set<string>();
  const open = [...start];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (seen.has(path) || !path.endsWith('.js')) continue;
    seen.add(path);
    const text = readFileSync(join(dist, path), 'utf8');
    for (const [, name = ''] of text.matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g)) open.push(`assets/${name}`);
  }
  return seen;
}

describe.skipIf(html === undefined)('what was built', () => {
  const page = html ?? '';
  const named = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, path = '']) => path);

  it('opens the worklist with less than the budget', () => {
    const files = new Set([...closure(named.filter((path) => path.endsWith('.js'))), ...named.filter((path) => path.endsWith('.css'))]);
    const bytes = [...files].reduce((sum, path) => sum + gzipSync(readFileSync(join(dist, path))).length, 0);
    expect(bytes).toBeGreaterThan(100 * 1024);
    expect(bytes).toBeLessThan(ENTRY_BYTES_MAX);
    process.stdout.write(`entry with worklist: ${Math.round(bytes / 1024)} kB gzip\n`);
  });

  it('keeps to the content policy: no inline script, no foreign address', () => {
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)/);
    expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(page).not.toMatch(/\son\w+=/);
  });
});
