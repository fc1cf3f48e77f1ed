// Text that must not be lost: saved to the server five seconds after the last key, when the hand leaves the fields, and when
// the page is put away; until the server has it, it is kept in this tab and tried again by itself.
import { useCallback, useEffect, useRef, useState } from 'react';
import { isPassing } from '../fhir';

const SAVE_AFTER_MS = 5_000;
const TRY_AGAIN_MS = 10_000;

export type SaveState = { kind: 'clean' } | { kind: 'changed' } | { kind: 'saving' } | { kind: 'saved'; at: string } | { kind: 'failed'; error: unknown };

interface AutosaveOptions<T> {
  /** Where the unsaved text is kept in this tab; it is gone when the tab closes or the person signs out. */
  key: string;
  initial: T;
  save: (value: T) => Promise<void>;
}

export interface Autosave<T> {
  value: T;
  set: (change: Partial<T>) => void;
  state: SaveState;
  /** Saves what is not saved yet; resolves when the server has it, rejects when it has not. */
  flush: () => Promise<void>;
  /** The hand has left the fields: what is not saved goes now. */
  rest: () => void;
}

/** Saves under way, by key: a screen left and opened again waits for the one that it began before. */
const underWay = new Map<string, Promise<void>>();

function stored<T>(key: string): T | undefined {
  try {
    const text = sessionStorage.getItem(key);
    return text ? (JSON.parse(text) as T) : undefined;
  } catch {
    return undefined;
  }
}

export function useAutosave<T extends object>({ key, initial, save }: AutosaveOptions<T>): Autosave<T> {
  const left = useRef(stored<T>(key));
  const [value, setValue] = useState<T>(left.current ?? initial);
  const [state, setState] = useState<SaveState>(left.current ? { kind: 'changed' } : { kind: 'clean' });
  const latest = useRef({ value, save });
  const timer = useRef<number>(undefined);
  const again = useRef<() => void>(undefined);
  const changed = useRef(left.current !== undefined);
  useEffect(() => {
    latest.current.save = save;
  });

  const run = useCallback(async () => {
    window.clearTimeout(timer.current);
    while (underWay.has(key)) await underWay.get(key)?.catch(() => undefined);
    if (!changed.current) return;
    changed.current = false;
    setState({ kind: 'saving' });
    const saving = latest.current.value;
    const saved = latest.current.save(saving);
    underWay.set(key, saved);
    try {
      await saved;
      if (latest.current.value === saving) sessionStorage.removeItem(key);
      setState({ kind: 'saved', at: new Date().toISOString() });
    } catch (error) {
      changed.current = true;
      setState({ kind: 'failed', error });
      if (isPassing(error)) timer.current = window.setTimeout(() => void again.current?.(), TRY_AGAIN_MS);
      throw error;
    } finally {
      underWay.delete(key);
    }
  }, [key]);

  const set = useCallback((change: Partial<T>) => {
    const next = { ...latest.current.value, ...change };
    latest.current.value = next;
    changed.current = true;
    setValue(next);
    setState({ kind: 'changed' });
    sessionStorage.setItem(key, JSON.stringify(next));
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void run().catch(() => undefined), SAVE_AFTER_MS);
  }, [key, run]);

  const rest = useCallback(() => void run().catch(() => undefined), [run]);
  useEffect(() => {
    const away = () => {
      if (document.visibilityState === 'hidden') rest();
    };
    again.current = rest;
    window.addEventListener('online', rest);
    document.addEventListener('visibilitychange', away);
    // What an earlier visit of this tab left behind is saved now.
    rest();
    return () => {
      again.current = undefined;
      window.removeEventListener('online', rest);
      document.removeEventListener('visibilitychange', away);
      window.clearTimeout(timer.current);
      rest();
    };
  }, [rest]);

  return { value, set, state, flush: run, rest };
}
