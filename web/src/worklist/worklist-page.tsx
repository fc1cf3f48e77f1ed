// 会诊工作台: tabs by role with counts, the filter in the address, waiting time, one primary action a row.
import { Suspense, useEffect, useRef, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { useDirectory } from '../directory';
import { useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { DownloadOutlined, PlusOutlined, PrinterOutlined, QuestionCircleOutlined, SearchOutlined } from '../parts/icons';
import { LightButton, Segments } from '../parts/light';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { problemText, Trouble } from '../parts/problem';
import { toast } from '../parts/toast';
import { roleIs, useSession } from '../session';
import { firstTabOf, primaryActionOf, tabsOf } from '../states';
import { withKit } from '../with-kit';
import { exportRows } from './export';
import { allRows, PAGE_SIZE, priorityOf, useConsultList, useTabCounts, type ConsultRow } from './list';
import { useRowKeys } from './row-keys';
import { RowTable } from './row-table';
import { SavedViews } from './saved-views';
import { fetchAhead } from '../with-kit';

const AHEAD_MS = 4_000;

// What a click opens comes with the click: the first page must stay small on a weak line.
const ConsultDrawer = withKit(async () => ({ default: (await import('./consult-drawer')).ConsultDrawer }));
const KeysHelp = withKit(async () => ({ default: (await import('../parts/keys-help')).KeysHelp }));

/** Typing asks the server when the hand rests. */
const TYPING_MS = 300;

const TO_ROOM = new Set(['enter', 'read', 'write', 'sign', 'decide', 'feed-back', 'report', 'check']);

export default function WorklistPage() {
  const { t } = useTranslation();
  const session = useSession();
  const navigate = useNavigate();
  const tabs = tabsOf(session.post.role);
  const [query, setQuery] = useSearchParams();
  const counts = useTabCounts(tabs);
  const named = tabs.find((one) => one.key === query.get('tab'));
  const tab = named ?? (counts.isPending ? undefined : firstTabOf(tabs, counts.data));
  const filter = { urgency: query.get('urgency') ?? undefined, text: query.get('text') ?? undefined };
  const page = Number(query.get('page') ?? 1);
  const openId = query.get('open') ?? undefined;
  const list = useConsultList(tab, filter, page);
  const listed = list.data !== undefined;
  useEffect(() => {
    if (!listed) return;
    const timer = window.setTimeout(fetchAhead, AHEAD_MS);
    return () => window.clearTimeout(timer);
  }, [listed]);
  const rows = list.data?.rows ?? [];

  const change = (changes: Record<string, string | undefined>) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) {
      if (value) next.set(name, value);
      else next.delete(name);
    }
    setQuery(next, { replace: true });
  };
  const openRow = (row: ConsultRow) => change({ open: row.task.id });
  const act = (row: ConsultRow) => {
    const action = primaryActionOf(session.post.role, row.state, priorityOf(row));
    if (action === 'fill') return void navigate(`/consults/${row.task.id ?? ''}/edit`);
    if (action && TO_ROOM.has(action)) return void navigate(`/consults/${row.task.id ?? ''}`);
    openRow(row);
  };
  const [helpOpen, setHelpOpen] = useState(false);
  // Once opened it stays, closed: it gives the focus back to the row.
  const [drawerUsed, setDrawerUsed] = useState(false);
  if (openId !== undefined && !drawerUsed) setDrawerUsed(true);
  const searchField = useRef<HTMLInputElement>(null);
  const active = useRowKeys({ rows, listening: openId === undefined && !helpOpen, open: openRow, help: () => setHelpOpen(true), search: () => searchField.current?.focus() });
  const [typed, setTyped] = useTyped(filter.text ?? '', (text) => change({ text: text.trim() || undefined, page: undefined }));
  const take = useExport();

  const mayAsk = roleIs(session, 'county-doctor');
  const newButton = mayAsk ? (
    <LightButton kind="primary" icon={<PlusOutlined />} onClick={() => void navigate('/consults/new')}>{t('worklist.new')}</LightButton>
  ) : undefined;

  const view = new URLSearchParams({ ...(tab ? { tab: tab.key } : {}), ...(filter.urgency ? { urgency: filter.urgency } : {}) }).toString();
  const viewName = [tab ? t(`tab.${tab.key}`) : '', filter.urgency ? t(`urgency.${filter.urgency}`) : ''].filter(Boolean).join(' · ');

  return (
    <Page title={t('worklist.title')} actions={newButton}>
      <div className="worklist-bar">
        <Segments
          className="tabs-segmented"
          value={tab?.key}
          label={t('worklist.tabs')}
          onChange={(key) => change({ tab: key, page: undefined, open: undefined })}
          options={tabs.map((one) => ({
            value: one.key,
            label: <TabLabel name={t(`tab.${one.key}`)} count={counts.data?.[one.key]} alarm={one.only === 'overdue'} />,
          }))}
        />
        <div className="worklist-filters">
          <select className="field-box" aria-label={t('consult.urgency')} value={filter.urgency ?? ''} onChange={(event) => change({ urgency: event.target.value || undefined, page: undefined })}>
            <option value="">{t('worklist.anyUrgency')}</option>
            {['stat', 'urgent', 'routine'].map((value) => <option key={value} value={value}>{t(`urgency.${value}`)}</option>)}
          </select>
          <span className="input-box worklist-search"><SearchOutlined aria-hidden />
            <input ref={searchField} type="search" placeholder={t('worklist.search')} aria-label={t('worklist.search')} value={typed} onChange={(event) => setTyped(event.target.value)} />
          </span>
          <SavedViews query={view} suggested={viewName} onOpen={(saved) => setQuery(new URLSearchParams(saved), { replace: true })} />
          <LightButton icon={<DownloadOutlined />} title={t('worklist.export')} disabled={!tab || rows.length === 0}
            onClick={() => { if (tab) void take(() => allRows(tab, filter), t(`tab.${tab.key}`)); }}>CSV</LightButton>
          <LightButton icon={<PrinterOutlined />} aria-label={t('handover.do')} title={t('handover.do')} disabled={!tab || rows.length === 0} data-action="handover"
            onClick={() => void navigate(`/consults/handover?${new URLSearchParams({ ...Object.fromEntries(query), tab: tab?.key ?? '' }).toString()}`)} />
          <LightButton className="keys-button" icon={<QuestionCircleOutlined />} aria-label={t('keys.title')} title={t('keys.title')} onClick={() => setHelpOpen(true)} />
        </div>
      </div>
      <section className="panel" aria-label={tab ? t(`tab.${tab.key}`) : undefined} aria-busy={list.isFetching}>
        <Trouble asked={list} />
        {list.isPending && !list.error ? <Loading what={t('worklist.loading')} /> : null}
        {list.data && rows.length === 0 ? (
          <Empty title={t('worklist.empty', { tab: tab ? t(`tab.${tab.key}`) : '' })}
            help={t(filter.urgency || filter.text ? 'worklist.emptyFilter' : mayAsk ? 'worklist.emptyAsk' : 'worklist.emptyWait')}
            action={mayAsk ? newButton : undefined} />
        ) : null}
        {rows.length > 0 ? <RowTable rows={rows} activeId={active} onOpen={openRow} onAct={act} /> : null}
        {list.data && list.data.total > rows.length && rows.length >= PAGE_SIZE ? (
          <div className="more"><LightButton onClick={() => change({ page: String(page + 1) })}>{t('worklist.more', { n: list.data.total - rows.length })}</LightButton></div>
        ) : null}
      </section>
      {helpOpen ? <Suspense><KeysHelp open onClose={() => setHelpOpen(false)} /></Suspense> : null}
      {drawerUsed ? <Suspense fallback={<Loading />}><ConsultDrawer taskId={openId} onClose={() => change({ open: undefined })} /></Suspense> : null}
    </Page>
  );
}

function TabLabel({ name, count, alarm }: { name: string; count: number | undefined; alarm: boolean }) {
  return (
    <span className="tab-label">
      {name}
      {count !== undefined ? <span className={`tab-count ${alarm && count > 0 ? 'tab-count-alarm' : ''}`}>{count}</span> : null}
    </span>
  );
}

/** What is typed stands in the field at once and in the address when the hand rests. */
function useTyped(settled: string, settle: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState(settled);
  const [seen, setSeen] = useState(settled);
  if (settled !== seen) {
    // The address was changed by something else, a saved view for example.
    setSeen(settled);
    if (settled !== typed.trim()) setTyped(settled);
  }
  const latest = useRef({ settle, settled });
  useEffect(() => {
    latest.current = { settle, settled };
  });
  useEffect(() => {
    if (typed.trim() === latest.current.settled) return;
    const timer = window.setTimeout(() => latest.current.settle(typed), TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [typed]);
  return [typed, setTyped];
}

function useExport() {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  return async (load: () => Promise<ConsultRow[]>, name: string) => {
    try {
      exportRows(await load(), { t, language, directory, name });
    } catch (error) {
      toast.error(problemText(error, t).title);
    }
  };
}
