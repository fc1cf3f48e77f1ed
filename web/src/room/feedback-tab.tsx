// 反馈: what became of the patient and of the advice, at day 7 and day 30; it goes to each expert.
import type { Consult } from '../consult/data';
import { useDirectory } from '../directory';
import type { QuestionnaireItem, QuestionnaireResponse } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { timerOf } from '../names';
import { Empty } from '../parts/empty';
import { roleIs, useSession } from '../session';
import { InlineTransition } from './inline-transition';

export function FeedbackTab({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const session = useSession();
  const mine = roleIs(session, 'county-doctor');
  const timer = timerOf(consult.task);
  const byDay = (response: QuestionnaireResponse) => response.item?.find((item) => item.linkId === 'day')?.answer?.[0]?.valueInteger ?? 7;
  const late = consult.feedback.some((response) => byDay(response) === 30);
  const due = (consult.state === 'decided' || consult.state === 'feedback-due') && mine;
  const due30 = (consult.state === 'closed' || consult.state === 'day-30-due') && mine && !late;
  const answer = (item: QuestionnaireItem) => {
    const value = item.answer?.[0];
    if (value?.valueCoding) return t(`code.${item.linkId}.${value.valueCoding.code ?? ''}`, { defaultValue: value.valueCoding.display ?? value.valueCoding.code ?? '' });
    return value?.valueString ?? value?.valueInteger?.toString() ?? '';
  };
  return (
    <>
      {consult.feedback.slice().sort((a, b) => byDay(a) - byDay(b)).map((response) => (
        <article className="document" key={response.id}>
          <h2>{t('feedback.titleOfDay', { day: byDay(response) })}</h2>
          <dl className="facts facts-tight">
            {(response.item ?? []).filter((item) => item.linkId !== 'day').map((item) => <div key={item.linkId}><dt>{t(`feedback.${item.linkId}`, { defaultValue: item.text ?? item.linkId })}</dt><dd>{answer(item)}</dd></div>)}
          </dl>
          <p className="signature">{directory.postName(response.author)} {formatTime(response.authored, language)}</p>
        </article>
      ))}
      {timer?.step.startsWith('ask-feedback') ? (
        <p className="hint">{t(timer.step === 'ask-feedback' ? 'feedback.dueDay7' : 'feedback.dueDay30', { time: formatTime(timer.due, language) })}</p>
      ) : null}
      {due ? <InlineTransition name="feedback" consult={consult} /> : null}
      {due30 ? <InlineTransition name="feedback-30" consult={consult} /> : null}
      {consult.feedback.length === 0 && !due && !due30 ? <Empty title={t('feedback.none')} help={t('feedback.noneHelp')} /> : null}
    </>
  );
}
