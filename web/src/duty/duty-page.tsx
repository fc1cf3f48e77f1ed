// 会诊值班表: who is called now and who is next, the week with its shifts, and the hours that nobody covers.
import { CopyOutlined, DownloadOutlined, LeftOutlined, PhoneOutlined, PlusOutlined, PrinterOutlined, RightOutlined, WarningFilled } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button } from 'antd';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { useDirectory } from '../directory';
import { formatDate, formatTime, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { useNow } from '../parts/countdown';
import { Empty } from '../parts/empty';
import { csvOf, download } from '../parts/file';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { problemText, Trouble } from '../parts/problem';
import { toast } from '../parts/toast';
import { useRuleTime } from '../rule-times';
import { roleIs, useSession } from '../session';
import { saveShifts, useShifts } from './data';
import { ShiftDialog } from './shift-dialog';
import { addDays, copiesOf, dayOf, DAYS, daysOf, gapsOf, hoursOf, midnight, mondayOf, onDuty, type Shift } from './week';

const MINUTE = 60_000;

export default function DutyPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const session = useSession();
  const directory = useDirectory();
  const [query, setQuery] = useSearchParams();
  const monday = mondayOf(query.get('week') ?? siteToday());
  const here = monday === mondayOf(siteToday());
  const limit = useRuleTime('consult', 'offer-next');
  const asked = useShifts(monday);
  const { data, dataUpdatedAt } = asked;
  const [open, setOpen] = useState<{ date: string; shift?: Shift }>();
  const edits = roleIs(session, 'medical-affairs', 'consult-coordinator');
  const experts = directory.posts.filter((post) => post.role === 'expert' && post.active && post.organizationId === session.post.organization.id);
  const within = (shift: Shift, from: string) => Date.parse(shift.end) > Date.parse(midnight(from)) && Date.parse(shift.start) < Date.parse(midnight(addDays(from, DAYS)));
  const shifts = (data ?? []).filter((shift) => within(shift, monday));
  const last = (data ?? []).filter((shift) => dayOf(shift) < monday && dayOf(shift) >= addDays(monday, -DAYS));
  const turn = (days: number) => setQuery({ week: addDays(monday, days) }, { replace: true });
  return (
    <Page title={t('duty.title')} note={data ? `${t('duty.note', { limit })} · ${t('today.asOf', { time: formatTime(new Date(dataUpdatedAt).toISOString(), language) })}` : t('duty.note', { limit })}
      actions={
        <>
          <Button icon={<LeftOutlined />} aria-label={t('duty.before')} onClick={() => turn(-DAYS)} />
          <strong className="duty-week">{formatDate(monday, language)} — {formatDate(addDays(monday, DAYS - 1), language)}</strong>
          <Button icon={<RightOutlined />} aria-label={t('duty.after')} onClick={() => turn(DAYS)} />
          {here ? null : <Button onClick={() => setQuery({}, { replace: true })}>{t('duty.thisWeek')}</Button>}
          {edits ? <CopyWeek last={last} shifts={shifts} /> : null}
          {shifts.length > 0 ? <ExportWeek monday={monday} shifts={shifts} /> : null}
          <Button icon={<PrinterOutlined />} onClick={() => window.print()}>{t('print.do')}</Button>
        </>
      }>
      <Trouble asked={asked} />
      {!data && !asked.error ? <Loading /> : null}
      {data && here && (experts.length > 0 || shifts.length > 0) ? <NowOnDuty shifts={data} /> : null}
      {data && shifts.length === 0 ? (
        <section className="panel"><Empty title={t('duty.none')} help={t(edits ? experts.length > 0 ? 'duty.noneHelp' : 'duty.noExperts' : 'duty.noneRead')}
          action={edits && experts.length > 0 ? <Button type="primary" icon={<PlusOutlined />} onClick={() => setOpen({ date: here ? siteToday() : monday })}>{t('duty.add')}</Button> : undefined} /></section>
      ) : null}
      {data && shifts.length > 0 ? <Gaps shifts={shifts} monday={monday} /> : null}
      {data && shifts.length > 0 ? <Week monday={monday} shifts={shifts} edits={edits} onOpen={setOpen} /> : null}
      {open ? <ShiftDialog key={`${open.date}${open.shift?.id ?? ''}`} date={open.date} shift={open.shift} mayBeCalled={experts} onClose={() => setOpen(undefined)} /> : null}
    </Page>
  );
}

/** The week as a file: a line for each who is called, in the order of calling. */
function ExportWeek({ monday, shifts }: { monday: string; shifts: Shift[] }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const save = () => download(`${t('duty.title')}-${monday}.csv`, csvOf([
    ['duty.date', 'duty.hours', 'duty.order', 'duty.name', 'duty.specialty', 'duty.phone'].map((key) => t(key)),
    ...shifts.flatMap((shift) => shift.posts.map((id, at) => {
      const post = directory.post(id);
      return [dayOf(shift), hoursOf(shift, t('duty.nextDay')), at + 1, post?.name ?? t('duty.gone'), post?.specialty, post?.phone];
    })),
  ]));
  return <Button icon={<DownloadOutlined />} title={t('common.exportCsv')} onClick={save}>CSV</Button>;
}

/** The one who is called, and who is called when he does not answer within ten minutes. */
function NowOnDuty({ shifts }: { shifts: Shift[] }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const called = onDuty(shifts, useNow(MINUTE)).map((id) => directory.post(id));
  return (
    <section className="panel duty-now" aria-label={t('duty.now')}>
      <h2>{t('duty.now')}</h2>
      {called.length === 0 ? <p className="text-red"><WarningFilled aria-hidden /> {t('duty.nobodyNow')}</p> : (
        <ol>
          {called.map((post, at) => (
            <li key={post?.id ?? at}>
              <span className={`badge ${at === 0 ? 'badge-done' : 'badge-off'}`}>{at === 0 ? t('duty.first') : t('duty.then', { n: at + 1 })}</span>
              <strong>{post?.name ?? t('duty.gone')}</strong>
              <span>{[post?.specialty, post?.title ? t(`title.${post.title}`) : ''].filter(Boolean).join(' · ')}</span>
              {post?.phone ? <a href={`tel:${post.phone}`} aria-label={t('worklist.call', { name: post.name, phone: post.phone })}><PhoneOutlined aria-hidden /> {post.phone}</a> : null}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Gaps({ shifts, monday }: { shifts: Shift[]; monday: string }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const now = useNow(MINUTE);
  const from = new Date(Math.max(now, Date.parse(midnight(monday)))).toISOString();
  const to = midnight(addDays(monday, DAYS));
  if (Date.parse(from) >= Date.parse(to)) return null;
  const gaps = gapsOf(shifts, from, to);
  if (gaps.length === 0) return null;
  return (
    <div className="duty-gaps" role="status">
      <WarningFilled aria-hidden /> <strong>{t('duty.gaps')}</strong>
      {gaps.map((gap) => <span key={gap.start}>{formatTime(gap.start, language)} — {formatTime(gap.end, language)}</span>)}
    </div>
  );
}

interface WeekProps { monday: string; shifts: Shift[]; edits: boolean; onOpen: (what: { date: string; shift?: Shift }) => void }

function Week({ monday, shifts, edits, onOpen }: WeekProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const today = siteToday();
  return (
    <ol className="duty-days" aria-label={t('duty.title')}>
      {daysOf(monday).map((date, index) => (
        <li key={date} className={`panel ${date === today ? 'duty-today' : ''}`}>
          <h2>{t(`duty.weekday.${index}`)} <span>{formatDate(date, language)}</span></h2>
          {shifts.filter((shift) => (dayOf(shift) < monday ? monday : dayOf(shift)) === date).map((shift) => <ShiftCard key={shift.id} shift={shift} edits={edits} onOpen={() => onOpen({ date: dayOf(shift), shift })} />)}
          {edits && date >= today ? <Button size="small" type="dashed" block icon={<PlusOutlined />} aria-label={`${t('duty.add')} ${formatDate(date, language)}`} onClick={() => onOpen({ date })}>{t('duty.addShort')}</Button> : null}
        </li>
      ))}
    </ol>
  );
}

function ShiftCard({ shift, edits, onOpen }: { shift: Shift; edits: boolean; onOpen: () => void }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const { post } = useSession();
  const over = Date.parse(shift.end) <= useNow(MINUTE);
  const names = shift.posts.map((id) => ({ id, name: directory.post(id)?.name ?? t('duty.gone'), phone: directory.post(id)?.phone }));
  return (
    <article className={`shift ${over ? 'shift-over' : ''}`} data-shift={shift.id}>
      <h3>{hoursOf(shift, t('duty.nextDay'))}</h3>
      <ol>{names.map((one) => <li key={one.id} className={one.id === `PractitionerRole/${post.id}` ? 'shift-own' : undefined}>{one.name}<span className="cell-sub">{one.phone}</span></li>)}</ol>
      {edits && !over ? <Button size="small" type="link" aria-label={`${t('duty.edit')} ${hoursOf(shift, t('duty.nextDay'))}`} onClick={onOpen}>{t('duty.editShort')}</Button> : null}
    </article>
  );
}

/** The week before once more; hours that are manned already stay as they are. */
function CopyWeek({ last, shifts }: { last: Shift[]; shifts: Shift[] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const copies = copiesOf(last, shifts);
  const copy = useMutation({
    mutationFn: () => saveShifts(copies),
    onSuccess: () => toast.success(t('duty.copied', { n: copies.length })),
    onError: (failure) => toast.error(problemText(failure, t).title),
    onSettled: () => void client.invalidateQueries({ queryKey: ['list', 'Schedule'] }),
  });
  return (
    <Button icon={<CopyOutlined />} disabled={copies.length === 0} loading={copy.isPending} data-action="copy-week"
      title={t(last.length === 0 ? 'duty.nothingBefore' : 'duty.copyHelp')} onClick={() => copy.mutate()}>{t('duty.copy')}</Button>
  );
}
