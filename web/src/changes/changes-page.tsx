// 自上次以来的变化: what moved since this person was last here, case by case, with the steps; the mark is kept on the server.
import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button, Select } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';
import { machineOf } from '../consult/data';
import { genderKey, patientName, stepText } from '../consult/texts';
import { useDirectory } from '../directory';
import { formatAge, formatShort, formatTime, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { copyText } from '../parts/file';
import { Loading } from '../parts/loading';
import { LightButton } from '../parts/light';
import { Page } from '../parts/page';
import { problemText, Trouble } from '../parts/problem';
import { StateBadge, UrgencyBadge } from '../parts/badges';
import { toast } from '../parts/toast';
import { usePersonal } from '../personal';
import { priorityOf } from '../worklist/list';
import { CASES_MAX, useChanges, type ChangedCase, type Changes } from './data';

const UNDO_MS = 8_000;
const DAY = 86_400_000;
const midnight = (date: string) => `${date}T00:00:00+08:00`;
const STARTS = {
  yesterday: () => midnight(siteToday(new Date(Date.now() - DAY))),
  morning: () => `${siteToday()}T08:00:00+08:00`,
  week: () => new Date(Math.floor(Date.now() / 60_000) * 60_000 - 7 * DAY).toISOString(),
};
type Start = 'last' | keyof typeof STARTS;

export default function ChangesPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const { personal, isPending, keep } = usePersonal();
  const [start, setStart] = useState<Start>('last');
  // The mark as it was when the page was opened: setting it must not empty the page under the reader's eyes.
  const [opened, setOpened] = useState<string>();
  const lastSeen = opened ?? personal.seen ?? STARTS.yesterday();
  const since = isPending ? undefined : start === 'last' ? lastSeen : STARTS[start]();
  const asked = useChanges(since);
  const { data } = asked;
  const textOf = useChangesText();

  const setSeen = (seen: string | undefined, said: string, undo?: () => void) =>
    keep.mutate((now) => ({ ...now, seen }), {
      onSuccess: () => toast.success(undo ? <>{said} <LightButton size="small" kind="text" onClick={undo}>{t('changes.undo')}</LightButton></> : said, undo ? UNDO_MS : undefined),
      onError: (failure) => toast.error(problemText(failure, t).title),
    });
  const mark = () => {
    const before = personal.seen;
    setOpened(lastSeen);
    setSeen(data?.asOf ?? new Date().toISOString(), t('changes.marked'), () => setSeen(before, t('changes.undo')));
  };
  const copy = async () => {
    if (!data || !since) return;
    void ((await copyText(textOf(data, since))) ? toast.success(t('daily.copied')) : toast.warning(t('daily.copyFailed')));
  };

  return (
    <Page title={t('changes.title')}
      note={since && data ? `${t('changes.since', { time: formatTime(since, language) })} · ${t('today.asOf', { time: formatTime(data.asOf, language) })}` : undefined}
      actions={
        <>
          <Select value={start} aria-label={t('changes.from')} onChange={setStart} className="since-select"
            options={(['last', 'morning', 'yesterday', 'week'] as const).map((value) => ({ value, label: t(`changes.${value}`) }))} />
          <Button icon={<CopyOutlined />} disabled={!data || data.cases.length === 0} onClick={() => void copy()}>{t('changes.copy')}</Button>
          <Button type="primary" icon={<CheckOutlined />} disabled={!data} loading={keep.isPending} data-action="mark-seen" onClick={mark}>{t('changes.mark')}</Button>
        </>
      }>
      {start === 'last' && !isPending && !personal.seen && !opened ? <p className="hint">{t('changes.never')}</p> : null}
      <Trouble asked={asked} />
      {!data && !asked.error ? <Loading /> : null}
      {data && data.cases.length === 0 ? <section className="panel"><Empty title={t('changes.none')} help={t('changes.noneHelp')} /></section> : null}
      {data && data.cases.length > 0 ? <ChangeList changes={data} /> : null}
    </Page>
  );
}

const KINDS = ['new', 'moved', 'ended'] as const;

function ChangeList({ changes }: { changes: Changes }) {
  const { t } = useTranslation();
  return (
    <>
      {KINDS.map((kind) => {
        const cases = changes.cases.filter((one) => one.kind === kind);
        if (cases.length === 0) return null;
        return (
          <section key={kind} className="panel changes" aria-labelledby={`changes-${kind}`}>
            <h2 id={`changes-${kind}`}>{t(`changes.${kind}`)} <span className="tab-count">{cases.length}</span></h2>
            <ul>{cases.map((one) => <CaseItem key={one.row.task.id} changed={one} />)}</ul>
          </section>
        );
      })}
      {changes.total > CASES_MAX ? <p className="hint">{t('changes.more', { n: CASES_MAX })}</p> : null}
    </>
  );
}

function CaseItem({ changed }: { changed: ChangedCase }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { row, steps, words } = changed;
  const { patient, task } = row;
  const from = directory.post(task.requester);
  return (
    <li className="changed">
      <div className="changed-head">
        <Link to={`/consults/${task.id ?? ''}`}>{patientName(patient) || t('patient.unnamed')}</Link>
        <span className="cell-sub">{t(genderKey(patient))} {formatAge(patient?.birthDate, language)}</span>
        <UrgencyBadge priority={priorityOf(row)} />
        <StateBadge state={row.state} />
        <span className="cell-sub">{[from?.organizationName, from?.specialty].filter(Boolean).join(' · ')}</span>
      </div>
      <ol className="changed-steps">
        {steps.map((step) => (
          <li key={`${step.time}${step.name}`}>
            <time>{formatShort(step.time, language)}</time> {directory.postName(step.who)} {stepText(t, machineOf(task), step.name)}
            {step.reason ? t('parcel.reason', { reason: step.reason }) : ''}
          </li>
        ))}
        {words > 0 ? <li>{t('changes.words', { n: words })}</li> : null}
      </ol>
    </li>
  );
}

/** For a message before the dispatch meeting: cases, states and steps, the patient by surname only. */
function useChangesText() {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  return (changes: Changes, since: string): string => {
    const lines = [`【${t('changes.title')}】`, `${t('changes.since', { time: formatTime(since, language) })} ${t('today.asOf', { time: formatTime(changes.asOf, language) })}`];
    for (const kind of KINDS) {
      const cases = changes.cases.filter((one) => one.kind === kind);
      if (cases.length === 0) continue;
      lines.push('', `${t(`changes.${kind}`)} ${cases.length}`);
      for (const { row, steps } of cases) {
        const last = steps.at(-1);
        const name = patientName(row.patient);
        const what = [directory.post(row.task.requester)?.organizationName, t(`state.${row.state}`), last ? `${formatShort(last.time, language)} ${stepText(t, machineOf(row.task), last.name)}` : '']
          .filter(Boolean).join(' · ');
        lines.push(t('changes.line', { patient: `${name.slice(0, 1)}${'*'.repeat(Math.max(1, name.length - 1))}`, what }));
      }
    }
    return lines.join('\n');
  };
}
