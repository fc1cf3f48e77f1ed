// j and k move, Enter opens, / searches, ? helps; not while a person writes or a drawer is open.
import { useEffect, useRef, useState } from 'react';
import type { ConsultRow } from './list';

interface RowKeys { rows: ConsultRow[]; listening: boolean; open: (row: ConsultRow) => void; help: () => void; search: () => void }

/** The id of the Task of the row that the keys stand on. */
export function useRowKeys({ rows, listening, open, help, search }: RowKeys): string | undefined {
  // The row is kept by its id: when the list changes under it, the keys stay on the same case.
  const [active, setActive] = useState<string>();
  const latest = useRef({ rows, open, help, search, active });
  useEffect(() => {
    latest.current = { rows, open, help, search, active };
  });
  useEffect(() => {
    if (!listening) return;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input,textarea,select,[contenteditable],[role=dialog]')) return;
      const now = latest.current;
      const at = now.rows.findIndex((row) => row.task.id === now.active);
      const go = (index: number) => setActive(now.rows[Math.max(0, Math.min(now.rows.length - 1, index))]?.task.id);
      if (event.key === 'j') go(at + 1);
      if (event.key === 'k') go(at - 1);
      if (event.key === '?') now.help();
      if (event.key === '/') {
        event.preventDefault();
        now.search();
      }
      const row = now.rows[at];
      if (event.key === 'Enter' && row && !target.closest('button,a')) now.open(row);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [listening]);
  useEffect(() => {
    if (active) document.querySelector('.row-active')?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  return active;
}
