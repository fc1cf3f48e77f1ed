// Two languages from two files; Chinese is the first and the fallback. Words of the trade come from the glossary.
import i18next from 'i18next';
import { useEffect } from 'react';
import { initReactI18next, useTranslation } from 'react-i18next';
import type { Language } from './format';
import zh from './i18n/zh.json';

const STORAGE_KEY = 'shanhai.language';

export function storedLanguage(): Language {
  return localStorage.getItem(STORAGE_KEY) === 'en' ? 'en' : 'zh';
}

/** English comes when it is asked for; Chinese is always there. */
async function bring(language: Language): Promise<void> {
  if (language === 'zh' || i18next.hasResourceBundle('en', 'translation')) return;
  i18next.addResourceBundle('en', 'translation', (await import('./i18n/en.json')).default);
}

export async function setUpLanguage(): Promise<void> {
  const language = storedLanguage();
  await i18next.use(initReactI18next).init({
    resources: { zh: { translation: zh } },
    lng: language,
    fallbackLng: 'zh',
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  // On a broken line the Chinese words are better than none.
  await bring(language).catch(() => undefined);
}

/** The document says which language it is in once its words are: a screen reader would speak the old ones with the new voice. */
export function useDocumentLanguage(language: Language): void {
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }, [language]);
}

export function switchLanguage(language: Language): void {
  localStorage.setItem(STORAGE_KEY, language);
  void bring(language).then(() => i18next.changeLanguage(language), () => undefined);
}

export function useLanguage(): Language {
  return useTranslation().i18n.language === 'en' ? 'en' : 'zh';
}

/** A text that the server or a record gives in both languages. */
export function pick(text: { zh?: string; en?: string } | undefined, language: Language): string {
  return (language === 'zh' ? text?.zh : text?.en) ?? text?.zh ?? text?.en ?? '';
}
