// Lays blocks on A4 sheets: they are measured once in a hidden column of the same width, then dealt out.
import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from '../i18n';
import { paginate } from './paginate';

export interface Block { key: string; node: ReactNode; keepWithNext?: boolean }

interface SheetsProps { blocks: Block[]; head: ReactNode; foot: string; watermark: string | undefined; onPages?: (count: number) => void }

export function Sheets({ blocks, head, foot, watermark, onPages }: SheetsProps) {
  const { t } = useTranslation();
  const measure = useRef<HTMLDivElement>(null);
  const room = useRef<HTMLDivElement>(null);
  const [pages, setPages] = useState<number[][]>([]);
  const signature = blocks.map((block) => block.key).join('|');

  useLayoutEffect(() => {
    const deal = () => {
      const column = measure.current;
      const height = room.current?.clientHeight ?? 0;
      if (!column || height === 0) return;
      const heights = Array.from(column.children).map((child) => child.getBoundingClientRect().height);
      const next = paginate(heights.map((one, index) => ({ height: one, keepWithNext: blocks[index]?.keepWithNext ?? false })), height);
      setPages((before) => (JSON.stringify(before) === JSON.stringify(next) ? before : next));
    };
    deal();
    void document.fonts.ready.then(deal);
  }, [signature, blocks]);

  useEffect(() => onPages?.(pages.length), [pages.length, onPages]);

  return (
    <div className="sheets">
      <div className="sheet sheet-measure" aria-hidden="true">
        <div className="sheet-head">{head}</div>
        <div className="sheet-body" ref={room}><div className="measure-column" ref={measure}>{blocks.map((block) => <div key={block.key}>{block.node}</div>)}</div></div>
        <div className="sheet-foot">{foot}</div>
      </div>
      {pages.map((page, number) => (
        <section className="sheet" key={number} aria-label={t('print.pageOf', { n: number + 1, m: pages.length })}>
          {watermark ? (
            <svg className="watermark" viewBox="0 0 210 297" aria-hidden="true"><text x="105" y="150" textAnchor="middle" transform="rotate(-35 105 150)">{watermark}</text></svg>
          ) : null}
          <div className="sheet-head">{head}</div>
          <div className="sheet-body">{page.map((index) => <div key={blocks[index]?.key}>{blocks[index]?.node}</div>)}</div>
          <div className="sheet-foot"><span>{foot}</span><span>{t('print.pageOf', { n: number + 1, m: pages.length })}</span></div>
        </section>
      ))}
    </div>
  );
}
