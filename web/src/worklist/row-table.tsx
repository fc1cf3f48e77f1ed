// The rows: a table on the desk, a card each on a phone (the same markup, laid out by the style sheet).
import { useEffect, useState } from 'react';
import { machineOf } from '../consult/data';
import { genderKey, patientName, stepText } from '../consult/texts';
import { useDirectory } from '../directory';
import { formatAge, formatDuration, formatShort, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { identifierOf, timerOf } from '../names';
import { StateBadge, UrgencyBadge } from '../parts/badges';
import { PhoneOutlined, PictureOutlined } from '../parts/icons';
import { LightButton } from '../parts/light';
import { useSession } from '../session';
import { isWaiting, primaryActionOf, stationIndex } from '../states';
import { isLate, priorityOf, useLastSteps, waitsSince, type ConsultRow, type LastStep } from './list';

const COLUMNS = ['patient', 'purpose', 'from', 'images', 'wanted', 'waited', 'expert', 'state'] as const;
// What stands in the request itself: a post that reads none (the commander) has no columns of dashes.
const OF_REQUEST = new Set<string>(['purpose', 'images', 'wanted']);
const TICK_MS = 30_000;

export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), TICK_MS);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}

interface TableProps {
  rows: ConsultRow[];
  activeId: string | undefined;
  onOpen: (row: ConsultRow) => void;
  onAct: (row: ConsultRow) => void;
}

export function RowTable({ rows, activeId, onOpen, onAct }: TableProps) {
  const { t } = useTranslation();
  const now = useNow();
  const steps = useLastSteps(rows);
  const withRequest = rows.length === 0 || rows.some((row) => row.request !== undefined);
  return (
    <div className="table-scroll">
      <table className="list-table">
        <thead>
          <tr>
            {COLUMNS.filter((column) => withRequest || !OF_REQUEST.has(column)).map((column) => <th key={column} scope="col">{t(`column.${column}`)}</th>)}
            <th scope="col"><span className="visually-hidden">{t('column.action')}</span></th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.task.id} row={row} withRequest={withRequest} step={steps.get(row.task.id ?? '')} now={now} active={row.task.id === activeId} onOpen={onOpen} onAct={onAct} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps { row: ConsultRow; withRequest: boolean; step: LastStep | undefined; now: number; active: boolean; onOpen: (row: ConsultRow) => void; onAct: (row: ConsultRow) => void }

function Row({ row, withRequest, step, now, active, onOpen, onAct }: RowProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const session = useSession();
  const { request, patient, task, state } = row;
  const since = waitsSince(row);
  const priority = priorityOf(row);
  const overdue = isLate(row, now);
  const from = directory.post(task.requester ?? request?.requester);
  const action = primaryActionOf(session.post.role, state, priority);
  const images = (request?.supportingInfo ?? []).filter((reference) => reference.reference?.includes('ImagingStudy/')).length;
  const number = identifierOf(request, 'consult');
  const hidden = request === undefined; // this post reads no request: what is not known is not told as absent
  const byPhone = isWaiting(state); // who is waited for is called, not only written to
  const next = timerOf(task);

  return (
    <tr className={`${active ? 'row-active' : ''} ${priority === 'stat' && isWaiting(state) ? 'row-stat' : ''}`} aria-selected={active} onClick={() => onOpen(row)}>
      <td data-label={t('column.patient')} className="cell-patient">
        <button type="button" className="link-button" onClick={(event) => { event.stopPropagation(); onOpen(row); }}>
          {patientName(patient) || t('patient.unnamed')}
        </button>
        <span className="cell-sub">{t(genderKey(patient))} {formatAge(patient?.birthDate, language)}</span>
        <UrgencyBadge priority={priority} />
        {machineOf(task) === 'remote-diagnosis' ? <span className="badge badge-run">{t('machine.short')}</span> : null}
      </td>
      {withRequest ? (
        <td data-label={t('column.purpose')} className="cell-purpose">
          <span className="one-line">{request?.orderDetail?.[0]?.text ?? '—'}</span>
          <span className="cell-sub">{number ?? (hidden ? '' : t('consult.noNumber'))}</span>
        </td>
      ) : null}
      <td data-label={t('column.from')}>
        {from?.organizationName || directory.organizationName(request?.requester) || '—'}
        <span className="cell-sub">{[from?.specialty, from?.name].filter(Boolean).join(' · ')}</span>
        {byPhone ? <PhoneLink name={from?.name} phone={from?.phone} /> : null}
      </td>
      {withRequest ? (
        <>
          <td data-label={t('column.images')} className="cell-number">
            {images > 0 ? <><PictureOutlined aria-hidden /> {t('worklist.images', { n: images })}</> : <span className="cell-sub">{hidden ? '—' : t('worklist.noImages')}</span>}
          </td>
          <td data-label={t('column.wanted')}>{formatTime(request?.occurrenceDateTime, language) || '—'}</td>
        </>
      ) : null}
      <td data-label={t('column.waited')} className={overdue ? 'text-red' : undefined}>
        {since && isWaiting(state) ? formatDuration(now - Date.parse(since), language) : '—'}
        {overdue ? <span className="cell-sub text-red">{t('worklist.overdue')}</span> : null}
      </td>
      <td data-label={t('column.expert')}>
        {directory.postName(task.owner) || '—'}
        <span className="cell-sub">{request?.performerType?.text}</span>
        {byPhone ? <PhoneLink name={directory.postName(task.owner)} phone={directory.post(task.owner)?.phone} /> : null}
      </td>
      <td data-label={t('column.state')} className="cell-state">
        <StateBadge state={state} />
        <RowLine row={row} step={step} />
        {next?.step === 'offer-next' ? <span className="cell-sub text-red">{t('worklist.nextAt', { time: formatTime(next.due, language) })}</span> : null}
      </td>
      <td className="cell-action">
        <LightButton size="small" kind={action ? 'primary' : 'default'} onClick={(event) => { event.stopPropagation(); onAct(row); }}>
          {t(action ? `action.${action}` : 'action.look')}
        </LightButton>
      </td>
    </tr>
  );
}

/** Like a parcel: the last step with its time, and until when the answer was promised. */
function RowLine({ row, step }: { row: ConsultRow; step: LastStep | undefined }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const promised = row.task.restriction?.period?.end;
  const open = isWaiting(row.state) && stationIndex(row.state) < stationIndex('signed');
  return (
    <>
      {step ? <span className="cell-sub row-line"><time>{formatShort(step.time, language)}</time> {directory.postName(step.who)} {stepText(t, machineOf(row.task), step.name)}</span> : null}
      {promised && open ? <span className="cell-sub row-line">{t('parcel.promised', { time: formatShort(promised, language) })}</span> : null}
    </>
  );
}

function PhoneLink({ name, phone }: { name: string | undefined; phone: string | undefined }) {
  const { t } = useTranslation();
  if (!phone) return null;
  return (
    <a className="cell-sub cell-phone" href={`tel:${phone}`} aria-label={t('worklist.call', { name, phone })} onClick={(event) => event.stopPropagation()}>
      <PhoneOutlined aria-hidden /> {phone}
    </a>
  );
}
