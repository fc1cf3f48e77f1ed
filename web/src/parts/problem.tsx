// An error on the screen says what happened and what to do about it.
import { ApiError, isPassing, issueText, LineError } from '../fhir';
import { formatTime } from '../format';
import { type TFunction, useLanguage, useTranslation } from '../i18n';
import { LightButton, Notice } from './light';

export interface ProblemText { title: string; lines: string[] }

export function problemText(error: unknown, t: TFunction): ProblemText {
  if (error instanceof LineError) return { title: t('problem.line'), lines: [t('problem.lineHelp')] };
  if (error instanceof ApiError) {
    const lines = [...new Set(error.issues.map(issueText).filter(Boolean))];
    const known: Record<number, string> = {
      401: 'problem.signedOut', 403: 'problem.forbidden', 404: 'problem.absent', 409: 'problem.moved', 412: 'problem.moved',
      413: 'problem.large', 422: 'problem.gaps', 429: 'problem.busy', 503: 'problem.busy', 507: 'problem.full',
    };
    const key = known[error.status] ?? (error.status >= 500 ? 'problem.server' : 'problem.refused');
    return { title: t(key), lines: lines.length > 0 ? lines : [t(`${key}Help`)] };
  }
  return { title: t('problem.screen'), lines: [t('problem.screenHelp')] };
}

interface Asked { error: unknown; data: unknown; dataUpdatedAt: number; refetch: () => unknown }

/** Whether what was seen last may stay: the server was not reached or is in trouble, nobody said no. */
const maySeeLast = ({ error, data }: Asked) => data !== undefined && (isPassing(error) || (error instanceof ApiError && error.status >= 500));

/** A question that has no answer to show, or one that must not stay. */
export const isBarred = (asked: Asked) => Boolean(asked.error) && !maySeeLast(asked);

/** What to say when a question failed: with an answer seen before, quietly of when it is. */
export function Trouble({ asked }: { asked: Asked }) {
  const { t } = useTranslation();
  const language = useLanguage();
  if (!asked.error) return null;
  if (!maySeeLast(asked)) return <Problem error={asked.error} retry={() => void asked.refetch()} />;
  return (
    <p className="stale-note" role="status">
      {t('problem.stale', { time: formatTime(new Date(asked.dataUpdatedAt).toISOString(), language) })}{' '}
      <LightButton size="small" onClick={() => void asked.refetch()}>{t('common.retry')}</LightButton>
    </p>
  );
}

export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  const { title, lines } = problemText(error, t);
  return (
    <Notice tone="error" title={title} action={retry ? <LightButton size="small" onClick={retry}>{t('common.retry')}</LightButton> : undefined}>
      {lines.length > 1 ? <ul className="plain-list">{lines.map((line) => <li key={line}>{line}</li>)}</ul> : lines[0]}
    </Notice>
  );
}
