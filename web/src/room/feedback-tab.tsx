// 反馈: what became of the patient and of the advice; it goes to each expert.
import { useTranslation } from 'react-i18next';
import type { Consult } from '../consult/data';
import { useDirectory } from '../directory';
import type { QuestionnaireItem } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage } from '../i18n';
import { Empty } from '../parts/empty';
import { roleIs, useSession } from '../session';
import { InlineTransition } from './inline-transition';

export function FeedbackTab({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const session = useSession();
  const due = (consult.state === 'decided' || consult.state === 'feedback-due') && roleIs(session, 'county-doctor');
  const answer = (item: QuestionnaireItem) => {
    const value = item.answer?.[0];
    if (value?.valueCoding) return t(`code.${item.linkId}.${value.valueCoding.code ?? ''}`, { defaultValue: value.valueCoding.display ?? value.valueCoding.code ?? '' });
    return value?.valueString ?? value?.valueInteger?.toString() ?? '';
  };
  return (
    <>
      {consult.feedback.map((response) => (
        <article className="document" key={response.id}>
          <h2>{t('feedback.title')}</h2>
          <dl className="facts facts-tight">
            {(response.item ?? []).map((item) => <div key={item.linkId}><dt>{t(`feedback.${item.linkId}`, { defaultValue: item.text ?? item.linkId })}</dt><dd>{answer(item)}</dd></div>)}
          </dl>
          <p className="signature">{directory.postName(response.author)} {formatTime(response.authored, language)}</p>
        </article>
      ))}
      {due ? <InlineTransition name="feedback" consult={consult} /> : null}
      {consult.feedback.length === 0 && !due ? <Empty title={t('feedback.none')} help={t('feedback.noneHelp')} /> : null}
    </>
  );
}
