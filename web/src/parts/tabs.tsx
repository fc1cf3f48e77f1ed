// Tabs that stay tabs at 360 px: they scroll sideways instead of hiding in a menu, and keep the roles of WAI-ARIA tabs.
// A panel that was opened stays, hidden: what is half written in it must not go.
import { useId, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';

export interface TabItem { key: string; label: ReactNode; children: ReactNode }

interface TabsProps { items: TabItem[]; activeKey: string; onChange: (key: string) => void; label: string }

export function Tabs({ items, activeKey, onChange, label }: TabsProps) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const active = items.find((item) => item.key === activeKey) ?? items[0];
  const [opened, setOpened] = useState<string[]>([]);
  if (active && !opened.includes(active.key)) setOpened([...opened, active.key]);
  const move = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !active) return;
    event.preventDefault();
    const at = (items.indexOf(active) + by + items.length) % items.length;
    const next = items[at];
    if (!next) return;
    onChange(next.key);
    list.current?.querySelectorAll<HTMLButtonElement>('[role=tab]')[at]?.focus();
  };
  return (
    <div className="tabs">
      <div className="tab-list" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {items.map((item) => (
          <button key={item.key} type="button" role="tab" id={`${id}-${item.key}`} aria-selected={item === active} aria-controls={opened.includes(item.key) ? `${id}-${item.key}-panel` : undefined}
            tabIndex={item === active ? 0 : -1} data-tab={item.key} onClick={() => onChange(item.key)}>
            {item.label}
          </button>
        ))}
      </div>
      {items.filter((item) => opened.includes(item.key)).map((item) => (
        <div key={item.key} className="tab-panel" role="tabpanel" id={`${id}-${item.key}-panel`} aria-labelledby={`${id}-${item.key}`} hidden={item !== active}>
          {item.children}
        </div>
      ))}
    </div>
  );
}
