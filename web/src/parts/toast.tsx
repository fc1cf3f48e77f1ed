// What is said beside the page: short words that go by themselves, and notices that stay until somebody has answered them.
import { useSyncExternalStore, type ReactNode } from 'react';
import { useTranslation } from '../i18n';
import { CheckCircleFilled, CloseCircleFilled, CloseOutlined, ExclamationCircleFilled } from './icons';

const SHORT_MS = 3_500;
const LONG_MS = 6_000;

type Tone = 'success' | 'error' | 'warning';
interface Toast { key: string; tone: Tone; text: ReactNode }
export interface Announcement { key: string; title: string; text?: string; action?: { label: string; onClick: () => void } }
interface Said { toasts: Toast[]; announcements: Announcement[] }

let said: Said = { toasts: [], announcements: [] };
let counter = 0;
const listeners = new Set<() => void>();

function set(next: Said): void {
  said = next;
  listeners.forEach((tell) => tell());
}

function say(tone: Tone, text: ReactNode, forMs = tone === 'success' ? SHORT_MS : LONG_MS): void {
  const key = String(counter++);
  set({ ...said, toasts: [...said.toasts, { key, tone, text }] });
  window.setTimeout(() => set({ ...said, toasts: said.toasts.filter((one) => one.key !== key) }), forMs);
}

export const toast = {
  success: (text: ReactNode, forMs?: number) => say('success', text, forMs),
  error: (text: ReactNode) => say('error', text),
  warning: (text: ReactNode) => say('warning', text),
};

/** Stays until `withdraw`. One of a key at a time. */
export function announce(one: Announcement): void {
  set({ ...said, announcements: [...said.announcements.filter((other) => other.key !== one.key), one] });
}

export function withdraw(key: string): void {
  if (said.announcements.some((one) => one.key === key)) set({ ...said, announcements: said.announcements.filter((one) => one.key !== key) });
}

const ICONS = {
  success: <CheckCircleFilled aria-hidden className="text-green" />,
  error: <CloseCircleFilled aria-hidden className="text-red" />,
  warning: <ExclamationCircleFilled aria-hidden className="text-amber" />,
};

export function Toasts() {
  const { t } = useTranslation();
  const { toasts, announcements } = useSyncExternalStore((tell) => {
    listeners.add(tell);
    return () => listeners.delete(tell);
  }, () => said);
  return (
    <>
      <div className="toasts" role="status">
        {toasts.map((one) => <div key={one.key} className="toast">{ICONS[one.tone]} <span>{one.text}</span></div>)}
      </div>
      <div className="announcements" role="alert">
        {announcements.map((one) => (
          <section key={one.key} className="announcement">
            <ExclamationCircleFilled aria-hidden className="text-red" />
            <div>
              <strong>{one.title}</strong>
              {one.text ? <p>{one.text}</p> : null}
              {one.action ? <button type="button" className="lb lb-primary lb-small" onClick={one.action.onClick}>{one.action.label}</button> : null}
            </div>
            <button type="button" className="lb lb-text lb-small" aria-label={t('common.close')} onClick={() => withdraw(one.key)}><CloseOutlined aria-hidden /></button>
          </section>
        ))}
      </div>
    </>
  );
}
