// Two languages from two files; Chinese is the first and the fallback. Words of the trade come from the glossary.
import i18next from 'i18next';
import { initReactI18next, useTranslation } from 'react-i18next';
import type { Language } from './format';
import en from './i18n/en.json';
import zh from './i18n/zh.json';

const STORAGE_KEY = 'shanhai.language';

export function storedLanguage(): Language {
  return localStorage.getItem(STORAGE_KEY) === 'en' ? 'en' : 'zh';
}

export function setUpLanguage(): void {
  void i18next.use(initReactI18next).init({
    resources: { zh: { translation: zh }, en: { translation: en } },
    lng: storedLanguage(),
    fallbackLng: 'zh',
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  markDocument(storedLanguage());
}

function markDocument(language: Language): void {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

export function switchLanguage(language: Language): void {
  localStorage.setItem(STORAGE_KEY, language);
  markDocument(language);
  void i18next.changeLanguage(language);
}

export function useLanguage(): Language {
  return useTranslation().i18n.language === 'en' ? 'en' : 'zh';
}

/** A text that the server or a record gives in both languages. */
export function pick(text: { zh?: string; en?: string } | undefined, language: Language): string {
  return (language === 'zh' ? text?.zh : text?.en) ?? text?.zh ?? text?.en ?? '';
}
