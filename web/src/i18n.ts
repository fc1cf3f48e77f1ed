// Two languages from two files; Chinese is the first and the fallback. Words of the trade come from the glossary.
// A word is named by its path in the file; {{name}} in it is filled from the values.
import { useEffect, useSyncExternalStore } from 'react';
import type { Language } from './format';
import zh from './i18n/zh.json';

const STORAGE_KEY = 'shanhai.language';

type Words = string | string[] | { [key: string]: Words };
type Values = Record<string, string | number | undefined> & {
  /** What is said where there is no such word. */
  defaultValue?: string;
  /** In this language whatever the page speaks: for what is stored. */
  lng?: Language;
};
/** The word of this key with its values; the key itself where there is none. */
export type TFunction = (key: string, values?: Values) => string;

const files: Partial<Record<Language, Words>> & { zh: Words } = { zh };
const listeners = new Set<() => void>();
let spoken: Language = 'zh';

function wordOf(language: Language, key: string): Words | undefined {
  let at: Words | undefined = files[language];
  for (const part of key.split('.')) {
    if (typeof at !== 'object' || Array.isArray(at)) return undefined;
    at = Object.hasOwn(at, part) ? at[part] : undefined;
  }
  return at;
}

const say = (language: Language): TFunction => (key, values) => {
  const asked = values?.lng ?? language;
  const own = wordOf(asked, key);
  const word = typeof own === 'string' ? own : wordOf('zh', key);
  if (typeof word !== 'string') return values?.defaultValue ?? key;
  return values ? word.replace(/\{\{(\w+)\}\}/g, (_, name: string) => String(values[name] ?? '')) : word;
};
// One function a language, always the same: effects depend on it.
const speakers: Record<Language, TFunction> = { zh: say('zh'), en: say('en') };

export const translatorOf = (language: Language): TFunction => speakers[language];

export function storedLanguage(): Language {
  return localStorage.getItem(STORAGE_KEY) === 'en' ? 'en' : 'zh';
}

/** English comes when it is asked for; Chinese is always there. */
async function bring(language: Language): Promise<void> {
  if (language === 'en' && !files.en) files.en = (await import('./i18n/en.json')).default;
}

export async function setUpLanguage(): Promise<void> {
  spoken = storedLanguage();
  // On a broken line the Chinese words are better than none.
  await bring(spoken).catch(() => undefined);
}

/** The document says which language it is in once its words are: a screen reader would speak the old ones with the new voice. */
export function useDocumentLanguage(language: Language): void {
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }, [language]);
}

export function switchLanguage(language: Language): void {
  localStorage.setItem(STORAGE_KEY, language);
  void bring(language).then(() => {
    spoken = language;
    listeners.forEach((tell) => tell());
  }, () => undefined);
}

function listen(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

export function useLanguage(): Language {
  return useSyncExternalStore(listen, () => spoken);
}

export function useTranslation(): { t: TFunction } {
  return { t: translatorOf(useLanguage()) };
}

/** Several words under one key, as a list. */
export function listOf(key: string, language: Language): string[] {
  const own = wordOf(language, key);
  return Array.isArray(own) ? own : [];
}

/** A text that the server or a record gives in both languages. */
export function pick(text: { zh?: string; en?: string } | undefined, language: Language): string {
  return (language === 'zh' ? text?.zh : text?.en) ?? text?.zh ?? text?.en ?? '';
}
