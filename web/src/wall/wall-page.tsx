// 指挥大屏: drawn for 1920 × 1080 and scaled as a whole, dark, nothing to press but the way to a figure's records. No name of
// a patient, not even a masked one: a wall is read by whoever passes. It looks after itself for weeks.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useDirectory } from '../directory';
import { resourcesOf, search } from '../fhir';
import type { Task } from '../fhir-types';
import { formatDuration, formatShort, formatTime, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { stateOf } from '../consult/data';
import { StateBadge, UrgencyBadge } from '../parts/badges';
import { usePageTitle } from '../parts/page';
import { isOverdue, UNANSWERED } from '../states';
import { useFigures, valueText, type Indicator } from '../today/indicators';
import { statesParameter, WORKFLOW } from '../worklist/list';
import './wall.css';

const [WIDE, HIGH] = [1920, 1080];
const SECOND_MS = 1_000;
const ASK_MS = 30_000;
const STUCK_MS = 300_000;
const ROWS_MAX = 11;
const UNDER_WAY = [...UNANSWERED, 'signed', 'reported'] as const; // from the request until the answer is there
const NIGHT = '04:05'; // a page that runs for weeks begins anew while nobody looks
const LEFT = ['consults-submitted', 'consults-answered', 'consult-time-to-allocation', 'consult-time-to-first-opinion', 'consult-time-to-signature'];
const RIGHT = ['severe-patients', 'severe-without-consult', 'critical-values', 'critical-time-to-read-back', 'images-acceptable'];

function useScale(): number {
  const scaleNow = () => Math.min(window.innerWidth / WIDE, window.innerHeight / HIGH);
  const [scale, setScale] = useState(scaleNow);
  useEffect(() => {
    const measure = () => setScale(scaleNow());
    window.addEventListener('resize', measure);
    return () => window.removeEventListener('resize', measure);
  }, []);
  return scale;
}

/** The time, each second; loads the page again at night, and when the figures stand still although the line is there. */
function useClock(seenAt: number, failed: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => {
      const time = Date.now();
      const clock = formatTime(new Date(time).toISOString(), 'zh').slice(-5);
      const young = performance.now() < STUCK_MS;
      if (!young && (clock === NIGHT || (!failed && seenAt > 0 && time - seenAt > STUCK_MS))) window.location.reload();
      setNow(time);
    }, SECOND_MS);
    return () => window.clearInterval(timer);
  }, [seenAt, failed]);
  return now;
}

export default function WallPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const date = siteToday();
  const figures = useFigures(date, undefined);
  const running = useQuery({
    queryKey: ['list', 'Task', 'wall'],
    queryFn: async ({ signal }) => {
      const bundle = await search('Task', { code: WORKFLOW, 'business-status': statesParameter(UNDER_WAY), _sort: 'authored-on', _count: 100, _total: 'accurate' }, signal);
      return { tasks: resourcesOf<Task>(bundle, 'Task'), total: bundle.total };
    },
    refetchInterval: ASK_MS,
  });
  const failed = Boolean(figures.error) || Boolean(running.error);
  const now = useClock(Math.min(figures.dataUpdatedAt, running.dataUpdatedAt), failed);
  const scale = useScale();
  usePageTitle(t('wall.title'));
  const at = new Map(figures.data?.indicators.map((one) => [one.code, one]));
  const column = (codes: string[]) => codes.flatMap((code) => at.get(code) ?? []).map((one) => <Figure key={one.code} indicator={one} />);
  return (
    <main className="wall-room">
      <div className="wall" style={{ transform: `scale(${scale})` }}>
        <header className="wall-head">
          <h1>{t('wall.title')}</h1>
          <p className="wall-house">{figures.data?.organization?.name}{(figures.data?.organizations?.length ?? 0) > 1 ? ` · ${t('wall.houses', { n: figures.data?.organizations?.length })}` : ''}</p>
          <p className={`wall-line ${failed ? 'wall-line-down' : ''}`} role="status">
            {t(failed ? 'wall.down' : 'wall.up')} · {figures.data ? t('today.asOf', { time: formatTime(figures.data.asOf, language) }) : t('common.loading')}
          </p>
          <time className="wall-clock">{formatTime(new Date(now).toISOString(), language)}</time>
        </header>
        <section className="wall-column" aria-label={t('wall.consults')}>{column(LEFT)}</section>
        <section className="wall-cases" aria-label={t('wall.running')}>
          <h2>{t('wall.running')} <strong>{running.data?.total ?? '—'}</strong> {t('wall.cases')}</h2>
          <Cases tasks={running.data?.tasks ?? []} now={now} />
        </section>
        <section className="wall-column" aria-label={t('wall.severe')}>{column(RIGHT)}</section>
      </div>
    </main>
  );
}

function Figure({ indicator }: { indicator: Indicator }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const unit = typeof indicator.unit === 'string' ? indicator.unit : indicator.unit[language];
  return (
    <a className="wall-figure" href="/today" title={indicator.rule?.[language]}>
      <span className="wall-name">{indicator.name[language]}</span>
      <span className="wall-value">{indicator.value === null ? t('today.unknown') : <>{valueText(indicator)} <small>{unit}</small></>}</span>
      <span className="wall-before">{t('today.previous')} {indicator.previous === null || indicator.previous === undefined ? t('today.unknown') : valueText(indicator, indicator.previous)}</span>
    </a>
  );
}

/** What waits too long first, then 特急, then as they came. */
function Cases({ tasks, now }: { tasks: Task[]; now: number }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const late = (task: Task) => {
    const promised = task.restriction?.period?.end;
    return isOverdue(stateOf(task), task.priority, task.authoredOn, now) || (promised !== undefined && Date.parse(promised) < now);
  };
  const rank = (task: Task) => (late(task) ? 0 : 2) + (task.priority === 'stat' ? 0 : 1);
  const rows = [...tasks].sort((a, b) => rank(a) - rank(b) || (a.authoredOn ?? '').localeCompare(b.authoredOn ?? ''));
  if (rows.length === 0) return <p className="wall-none">{t('wall.none')}</p>;
  return (
    <>
      <table>
        <thead><tr>{['urgency', 'house', 'state', 'since', 'promised'].map((key) => <th key={key} scope="col">{t(`wall.${key}`)}</th>)}</tr></thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map((task) => (
            <tr key={task.id} className={late(task) ? 'wall-late' : undefined}>
              <td><UrgencyBadge priority={task.priority} /></td>
              <td>{directory.post(task.requester)?.organizationName ?? '—'}</td>
              <td><StateBadge state={stateOf(task)} /></td>
              <td>{task.authoredOn ? formatDuration(now - Date.parse(task.authoredOn), language) : '—'}</td>
              <td>{task.restriction?.period?.end ? formatShort(task.restriction.period.end, language) : '—'}{late(task) ? ` ${t('worklist.overdue')}` : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_MAX ? <p className="wall-more">{t('wall.more', { n: rows.length - ROWS_MAX })}</p> : null}
    </>
  );
}
