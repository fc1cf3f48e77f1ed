import { describe, expect, it } from 'vitest';
import { paginate, splitText } from '../src/print/paginate';

describe('paginate', () => {
  it('fills pages in order and loses nothing', () => {
    const blocks = Array.from({ length: 25 }, () => ({ height: 100 }));
    const pages = paginate(blocks, 1000);
    expect(pages.map((page) => page.length)).toEqual([10, 10, 5]);
    expect(pages.flat()).toEqual(blocks.map((_, index) => index));
  });

  it('takes a heading along to the page of its text', () => {
    expect(paginate([{ height: 900 }, { height: 50, keepWithNext: true }, { height: 100 }], 1000)).toEqual([[0], [1, 2]]);
  });

  it('gives a block higher than a page a page of its own and goes on', () => {
    expect(paginate([{ height: 10 }, { height: 5000 }, { height: 10 }], 1000)).toEqual([[0], [1], [2]]);
  });

  it('makes one empty page of nothing', () => {
    expect(paginate([], 1000)).toEqual([[]]);
  });
});

describe('splitText', () => {
  it('keeps every character that is not a line end', () => {
    const text = `${'甲乙丙丁。'.repeat(200)}\n末行`;
    const pieces = splitText(text);
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toBe(text.replace('\n', ''));
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(325);
  });
});
