// A button and its menu, by the pattern of WAI-ARIA: arrows move, Escape closes and gives the focus back.
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';

export interface MenuItem { key: string; label: ReactNode; onClick: () => void }
export interface MenuGroup { title?: string; items: MenuItem[] }

interface MenuProps { groups: MenuGroup[]; className: string; children: ReactNode; action?: string; end?: boolean }

export function Menu({ groups, className, children, action, end = false }: MenuProps) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const items = () => [...(root.current?.querySelectorAll<HTMLButtonElement>('[role=menuitem]') ?? [])];
  useEffect(() => {
    if (!open) return;
    items()[0]?.focus();
    const beside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', beside);
    document.addEventListener('focusin', beside);
    return () => {
      document.removeEventListener('pointerdown', beside);
      document.removeEventListener('focusin', beside);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape' && open) {
      event.stopPropagation();
      close();
    }
    if (!by) return;
    event.preventDefault();
    const all = items();
    if (!open) setOpen(true);
    else all[(all.indexOf(document.activeElement as HTMLButtonElement) + by + all.length) % all.length]?.focus();
  };
  return (
    <div className="menu-root" ref={root} onKeyDown={onKey}>
      <button type="button" ref={button} className={className} aria-haspopup="menu" aria-expanded={open} aria-controls={open ? id : undefined} data-action={action} onClick={() => setOpen(!open)}>
        {children}
      </button>
      {open ? (
        <div className={end ? 'menu menu-end' : 'menu'} id={id} role="menu">
          {groups.filter((group) => group.items.length > 0).map((group, index) => (
            <div key={index} role="group" aria-label={group.title} className="menu-group">
              {group.title ? <div className="menu-title" aria-hidden>{group.title}</div> : null}
              {group.items.map((item) => (
                <button key={item.key} type="button" role="menuitem" tabIndex={-1} onClick={() => { close(); item.onClick(); }}>{item.label}</button>
              ))}
            </div>
          ))}
        </div>
      ) : null}
    </div>
  );
}
