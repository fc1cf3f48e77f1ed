// Puts blocks of known height on pages. Own pages instead of the browser's, because Chrome 109 cannot write page n/m in
// a margin, and every sheet of a medical document must carry the name and its number.

export interface MeasuredBlock {
  height: number;
  /** A heading does not stand alone at the foot of a page. */
  keepWithNext?: boolean;
}

/** Indices of the blocks of each page. A block higher than a page gets one of its own. */
export function paginate(blocks: MeasuredBlock[], pageHeight: number): number[][] {
  const pages: number[][] = [];
  let page: number[] = [];
  let used = 0;
  blocks.forEach((block, index) => {
    let needed = block.height;
    for (let next = index; blocks[next]?.keepWithNext && next + 1 < blocks.length; next++) needed += blocks[next + 1]?.height ?? 0;
    if (page.length > 0 && used + Math.min(needed, pageHeight) > pageHeight && used + needed > pageHeight) {
      pages.push(page);
      page = [];
      used = 0;
    }
    page.push(index);
    used += block.height;
  });
  if (page.length > 0 || pages.length === 0) pages.push(page);
  return pages;
}

const PIECE_MAX = 320;

/** Splits a text where a page may end: at line ends, and in a very long line at the ends of sentences. */
export function splitText(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const pieces: string[] = [];
    let piece = '';
    for (const sentence of line.match(/[^。；;!?！？]*[。；;!?！？]?/g) ?? []) {
      if (piece.length + sentence.length > PIECE_MAX && piece) {
        pieces.push(piece);
        piece = '';
      }
      piece += sentence;
    }
    if (piece.trim()) pieces.push(piece);
    return pieces;
  });
}
