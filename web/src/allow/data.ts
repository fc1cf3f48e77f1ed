// What an app of another asks for, as the server reads it, and its words for a person.
import type { TFunction } from '../i18n';

export interface AskedScope {
  scope: string;
  context: 'patient' | 'user' | 'system';
  type: string;
  acts: string;
  /** Of the letters those that the post has anything of. */
  within: string;
  query?: string;
}

export interface Asked {
  app: { id: string; name: string };
  address: string;
  scopes: AskedScope[];
  identity: boolean;
  offline: boolean;
  needsPatient: boolean;
  patient?: string;
}

/** Reading and searching are one thing to a person; so are the ways to write. */
function doing(letters: string): string[] {
  const has = (letter: string) => letters.includes(letter);
  return [
    has('r') || has('s') ? 'look' : '',
    has('c') ? 'create' : '',
    has('u') ? 'update' : '',
    has('d') ? 'delete' : '',
  ].filter(Boolean);
}

export function scopeWords(asked: AskedScope, t: TFunction): { what: string; doings: string; narrowed?: string } {
  const type = asked.type === '*' ? t('allow.everyType') : t(`allow.type.${asked.type}`, { defaultValue: asked.type });
  const what = asked.context === 'patient' ? t('allow.ofPatient', { type }) : t('allow.ofPost', { type });
  const doings = doing(asked.within || asked.acts).map((key) => t(`allow.act.${key}`)).join(t('allow.and'));
  return { what, doings, narrowed: asked.query ? t('allow.narrowed', { query: safeDecode(asked.query) }) : undefined };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
