// What is still missing, always in view; the button says what will happen.
import { CheckCircleFilled, MinusCircleOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from '../i18n';
import type { RequestDraft } from './model';

const GROUPS: { key: string; gaps: string[]; section: string }[] = [
  { key: 'patient', gaps: ['name', 'gender', 'birthDate', 'identifier', 'identityConfirmed'], section: 'section-record' },
  { key: 'summary', gaps: ['summary'], section: 'section-record' },
  { key: 'whom', gaps: ['hospital', 'specialty', 'title', 'wantedTime'], section: 'section-ask' },
  { key: 'question', gaps: ['reason', 'purpose'], section: 'section-ask' },
  { key: 'studies', gaps: ['studies', 'verdicts'], section: 'section-images' },
  { key: 'consent', gaps: ['consent', 'emergency'], section: 'section-consent' },
];

interface ChecklistProps {
  draft: RequestDraft;
  gaps: string[];
  saving: boolean;
  submitting: boolean;
  problem: ReactNode;
  onSave: () => void;
  onSubmit: () => void;
}

export function Checklist({ draft, gaps, saving, submitting, problem, onSave, onSubmit }: ChecklistProps) {
  const { t } = useTranslation();
  const waitsForHead = gaps.length === 1 && gaps[0] === 'emergency';
  const nothingYet = draft.name === '';
  return (
    <aside className="panel checklist" aria-label={t('checklist.title')}>
      <h2>{t('checklist.title')}</h2>
      <ul>
        {GROUPS.filter((group) => group.key !== 'studies' || draft.machine === 'remote-diagnosis').map((group) => {
          const open = group.gaps.filter((gap) => gaps.includes(gap));
          return (
            <li key={group.key} className={open.length === 0 ? 'check-done' : 'check-open'}>
              <a href={`#${group.section}`}>
                {open.length === 0 ? <CheckCircleFilled aria-hidden /> : <MinusCircleOutlined aria-hidden />} {t(`checklist.${group.key}`)}
                <span className="visually-hidden">{t(open.length === 0 ? 'checklist.done' : 'checklist.open')}</span>
              </a>
              {open.length > 0 ? <span className="check-gaps">{open.map((gap) => t(`gap.${gap}`)).join(t('common.listMark'))}</span> : null}
            </li>
          );
        })}
        {draft.machine === 'remote-diagnosis' ? null : (
          <li className={draft.studyIds.length > 0 ? 'check-done' : 'check-optional'}>
            <a href="#section-images">
              {draft.studyIds.length > 0 ? <CheckCircleFilled aria-hidden /> : <MinusCircleOutlined aria-hidden />} {t('checklist.images', { n: draft.studyIds.length })}
            </a>
          </li>
        )}
      </ul>
      {problem}
      <Button type="primary" block size="large" disabled={gaps.length > 0 || saving} loading={submitting} data-action="submit" onClick={onSubmit}>{t('request.submit')}</Button>
      <Button block disabled={nothingYet || submitting} loading={saving} data-action="save" onClick={onSave}>{t(waitsForHead ? 'request.saveForHead' : 'request.save')}</Button>
      {gaps.length > 0 ? <p className="hint">{t('checklist.missing', { n: gaps.length })}</p> : <p className="hint">{t('checklist.ready')}</p>}
    </aside>
  );
}
