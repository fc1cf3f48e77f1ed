// Where the consult is, like a parcel: stations with their times, the last step in words, and what was promised.
import { CheckCircleFilled, CloseCircleFilled } from '@ant-design/icons';
import { useEffect, useRef } from 'react';
import { useDirectory } from '../directory';
import { formatShort, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf } from '../names';
import { DIAGNOSIS_STATIONS, stationIndex, STATIONS } from '../states';
import type { Consult } from './data';

const ENTERS: Record<string, string> = {
  submit: 'submitted', allocate: 'allocated', accept: 'accepted', start: 'in-session', 'answer-in-writing': 'in-session',
  sign: 'signed', deliver: 'delivered', decide: 'decided', feedback: 'closed',
  assign: 'assigned', 'submit-report': 'written', acknowledge: 'closed',
};

export function StatusLine({ consult, full = false }: { consult: Consult; full?: boolean }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const at = stationIndex(consult.state, consult.machine);
  const stations = consult.machine === 'remote-diagnosis' ? DIAGNOSIS_STATIONS : STATIONS;
  const ended = consult.state === 'declined' || consult.state === 'cancelled';
  const steps = consult.provenances.map((provenance) => ({
    name: codeOf(provenance.activity, 'transition') ?? '',
    did: t(`did.${consult.machine === 'remote-diagnosis' ? 'diagnosis-' : ''}${codeOf(provenance.activity, 'transition') ?? ''}`,
      { defaultValue: t(`did.${codeOf(provenance.activity, 'transition') ?? ''}`, { defaultValue: provenance.activity?.coding?.[0]?.display ?? '' }) }),
    time: provenance.recorded,
    who: provenance.agent[0]?.who?.reference ? directory.postName(provenance.agent[0].who) : t('parcel.program'),
    where: directory.organizationName(provenance.agent[0]?.onBehalfOf),
    reason: provenance.reason?.[0]?.text,
  }));
  const timeOf = (station: string) => steps.filter((step) => (consult.machine === 'remote-diagnosis' && step.name === 'sign' ? 'reported' : ENTERS[step.name]) === station).at(-1)?.time;
  const last = steps.at(-1);
  const promised = consult.task.restriction?.period?.end;
  const line = useRef<HTMLOListElement>(null);
  useEffect(() => {
    // On a phone the line is wider than the screen: where it stands now is what is looked for.
    const list = line.current;
    const here = list?.querySelector<HTMLElement>('[aria-current=step]');
    if (list && here) list.scrollLeft = here.offsetLeft - list.offsetLeft - (list.clientWidth - here.clientWidth) / 2;
  }, [at]);

  return (
    <div className="parcel">
      <ol className="parcel-stations" ref={line} tabIndex={0} aria-label={t('parcel.title')}>
        {stations.map((station, index) => {
          const time = index <= at ? timeOf(station) : undefined;
          const phase = index < at ? 'past' : index === at ? 'here' : 'ahead';
          return (
            <li key={station} className={`station station-${phase}`} aria-current={phase === 'here' ? 'step' : undefined}>
              <span className="station-dot">{index <= at ? <CheckCircleFilled aria-hidden /> : null}</span>
              <span className="station-name">{t(`station.${station}`)}</span>
              <span className="station-time">{formatTime(time, language)}</span>
            </li>
          );
        })}
      </ol>
      <p className="parcel-last">
        {ended ? <CloseCircleFilled aria-hidden className="text-red" /> : null}
        {last ? (
          <>
            <time>{formatShort(last.time, language)}</time> {last.who} {last.did}
            {last.reason ? t('parcel.reason', { reason: last.reason }) : ''}
          </>
        ) : (
          t(`state.${consult.state}`)
        )}
        {promised && at < 4 ? <span className="parcel-promise">{t('parcel.promised', { time: formatShort(promised, language) })}</span> : null}
      </p>
      {full && steps.length > 0 ? (
        <details className="parcel-all">
          <summary>{t('parcel.all', { n: steps.length })}</summary>
          <ol>
            {steps.slice().reverse().map((step) => (
              <li key={`${step.time}${step.name}`}>
                <time>{formatTime(step.time, language)}</time>
                <span>
                  {step.where ? `${step.where} ` : ''}{step.who} {step.did}
                  {step.reason ? t('parcel.reason', { reason: step.reason }) : ''}
                </span>
              </li>
            ))}
          </ol>
        </details>
      ) : null}
    </div>
  );
}
