// Of the session: who was there from when to when, and which images were shown when; a press goes to the images.
import { Button } from 'antd';
import type { Consult } from '../consult/data';
import { studyTitle } from '../consult/texts';
import { useDirectory } from '../directory';
import { formatShort, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { idOf } from '../names';
import { shownIn, staysOf } from './presence';

export interface SlicePointer { studyId: string; seriesUid: string; sliceUid: string }

export const hasSession = (consult: Consult) => staysOf(consult).length > 0;

export function SessionHistory({ consult, onGo }: { consult: Consult; onGo: (to: SlicePointer) => void }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const span = (from: string, until: string | undefined) => (until ? `${formatTime(from, language)} – ${formatShort(until, language)}` : `${formatTime(from, language)} – ${t('session.now')}`);
  const shown = shownIn(consult).sort((a, b) => a.from.localeCompare(b.from));
  return (
    <div className="session-history">
      <ul className="plain-list" aria-label={t('session.stays')}>
        {staysOf(consult).map((stay) => (
          <li key={`${stay.who?.reference ?? ''}${stay.start}`}><strong>{directory.postName(stay.who)}</strong> <span className="hint">{span(stay.start, stay.end)}</span></li>
        ))}
      </ul>
      {shown.length > 0 ? (
        <ul className="plain-list" aria-label={t('session.shown')}>
          {shown.map((one) => {
            const study = consult.studies.find((each) => each.id === idOf(one.study));
            return (
              <li key={one.id}>
                {t('session.did', { who: directory.postName(one.who) })}{' '}
                {study ? (
                  <Button type="link" size="small" onClick={() => onGo({ studyId: study.id ?? '', seriesUid: one.seriesUid, sliceUid: one.sliceUid })}>{studyTitle(study, language)}</Button>
                ) : t('session.images')}
                <span className="hint">{span(one.from, one.until)}</span>
              </li>
            );
          })}
        </ul>
      ) : null}
    </div>
  );
}
