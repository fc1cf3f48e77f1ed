// The invitation as the inviting hospital wrote it, with what hangs on it: consent, images and their verdicts.
import { useDirectory } from '../directory';
import type { Consent, Observation } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, extensionOf, idOf, identifierOf } from '../names';
import type { Consult } from './data';
import { studyTitle } from './texts';

export function Invitation({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { request } = consult;
  const from = directory.post(request?.requester);
  const title = extensionOf(request, 'wanted-title')?.valueCode;
  const facts: [string, string][] = [
    ['consult.number', identifierOf(request, 'consult') ?? t('consult.noNumber')],
    ['consult.from', [from?.organizationName, from?.specialty, from?.name, from?.phone].filter(Boolean).join(' · ')],
    ['consult.to', directory.organizationName(request?.performer?.[0])],
    ['consult.wantedSpecialty', [request?.performerType?.text, title ? t(`title.${title}`) : ''].filter(Boolean).join(' · ')],
    ['consult.wantedTime', formatTime(request?.occurrenceDateTime, language)],
    ['consult.reason', request?.reasonCode?.[0]?.text ?? ''],
    ['consult.purpose', request?.orderDetail?.[0]?.text ?? ''],
    ['consult.summary', request?.note?.[0]?.text ?? ''],
  ];
  return (
    <dl className="facts">
      {facts.map(([key, value]) => (
        <div key={key} className={value.length > 24 ? 'fact-long' : undefined}>
          <dt>{t(key)}</dt>
          <dd>{value || '—'}</dd>
        </div>
      ))}
      <div className="fact-long">
        <dt>{t('consult.consent')}</dt>
        <dd><ConsentText consult={consult} /></dd>
      </div>
      <div className="fact-long">
        <dt>{t('consult.images')}</dt>
        <dd>
          {consult.studies.length === 0 ? t('worklist.noImages') : (
            <ul className="plain-list">
              {consult.studies.map((study) => (
                <li key={study.id}>{studyTitle(study, language)} <Verdict verdict={verdictOf(consult, study.id)} /></li>
              ))}
            </ul>
          )}
        </dd>
      </div>
    </dl>
  );
}

export function verdictOf(consult: Consult, studyId: string | undefined): Observation | undefined {
  return consult.observations
    .filter((observation) => codeOf(observation.code, 'consult-observation') === 'image-verdict')
    .filter((observation) => idOf(observation.focus?.[0]?.reference) === studyId)
    .at(-1);
}

function Verdict({ verdict }: { verdict: Observation | undefined }) {
  const { t } = useTranslation();
  if (!verdict) return <span className="badge badge-off">{t('verdict.none')}</span>;
  const code = codeOf(verdict.valueCodeableConcept, 'image-verdict') ?? '';
  const faults = (verdict.component ?? []).filter((part) => part.valueBoolean).map((part) => t(`code.fault.${codeOf(part.code, 'image-fault') ?? ''}`));
  const tone = code === 'acceptable' ? 'done' : code === 'limited' ? 'act' : 'stop';
  return <span className={`badge badge-${tone}`}>{t(`code.verdict.${code}`)}{faults.length > 0 ? `${t('common.colon')}${faults.join(t('common.listMark'))}` : ''}</span>;
}

function ConsentText({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const kindOf = (consent: Consent) => codeOf(consent.category, 'consent-kind');
  const consent = consult.consents.find((one) => kindOf(one) === 'remote-consult') ?? consult.consents[0];
  if (!consent) return <>{t('consult.noConsent')}</>;
  const time = formatTime(consent.dateTime, language);
  if (kindOf(consent) === 'emergency') {
    const reason = extensionOf(consent, 'reason')?.valueString;
    return <>{t('consult.emergencyBasis', { who: directory.postName(consent.performer?.[0]), time })}{reason ? ` · ${reason}` : ''}</>;
  }
  const payer = extensionOf(consent, 'payer')?.valueCode;
  const who = consent.performer?.map((performer) => performer.display ?? directory.postName(performer)).filter(Boolean).join(t('common.listMark'));
  return <>{[t('consult.consentSigned', { who, time }), payer ? t(`payer.${payer}`) : ''].filter(Boolean).join(' · ')}</>;
}
