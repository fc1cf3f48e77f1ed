// A part that comes when it is opened, with the kit around it; who waits for it on a weak line is told so.
import { lazy, useEffect, useState, type ComponentType } from 'react';

let coming = 0;
const listeners = new Set<(coming: boolean) => void>();

function count(by: number): void {
  coming += by;
  listeners.forEach((listener) => listener(coming > 0));
}

export function withKit<P extends object>(load: () => Promise<{ default: ComponentType<P> }>) {
  return lazy(async () => {
    count(1);
    try {
      const [{ Kit }, { default: Part }] = await Promise.all([import('./kit'), load()]);
      return { default: (props: P) => <Kit><Part {...props} /></Kit> };
    } finally {
      count(-1);
    }
  });
}

/** On a weak line the kit takes a minute: it comes while the list is read, after everything that the list itself needs. */
export function fetchAhead(): void {
  Promise.all([import('./kit'), import('./room/room-page')]).catch(() => undefined); // it is asked for again when it is needed
}

const SAID_AFTER_MS = 400;

/** Whether a part is on its way for longer than a blink: the page before stays on the screen until it is there. */
export function useComing(): boolean {
  const [said, setSaid] = useState(false);
  useEffect(() => {
    let timer: number | undefined;
    const listener = (now: boolean) => {
      window.clearTimeout(timer);
      if (now) timer = window.setTimeout(() => setSaid(true), SAID_AFTER_MS);
      else setSaid(false);
    };
    listeners.add(listener);
    listener(coming > 0);
    return () => {
      listeners.delete(listener);
      window.clearTimeout(timer);
    };
  }, []);
  return said;
}
