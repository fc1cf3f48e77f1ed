// An error on the screen says what happened and what to do about it.
import { ApiError, issueText, LineError } from '../fhir';
import { type TFunction, useTranslation } from '../i18n';
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

export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  const { title, lines } = problemText(error, t);
  return (
    <Notice tone="error" title={title} action={retry ? <LightButton size="small" onClick={retry}>{t('common.retry')}</LightButton> : undefined}>
      {lines.length > 1 ? <ul className="plain-list">{lines.map((line) => <li key={line}>{line}</li>)}</ul> : lines[0]}
    </Notice>
  );
}
