// 会诊工作台: tabs by role with counts, the filter in the address, waiting time, one primary action a row.
import { PlusOutlined, SearchOutlined } from '@ant-design/icons';
import { Button, Drawer, Input, Segmented, Select } from 'antd';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate, useSearchParams } from 'react-router';
import { PAGE_SIZE, useConsultList, useTabCounts, type ConsultRow } from '../consult/data';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { Problem } from '../parts/problem';
import { roleIs, useSession } from '../session';
import { primaryActionOf, tabsOf } from '../states';
import { ConsultDrawer } from './consult-drawer';
import { RowTable } from './row-table';

const TO_ROOM = new Set(['enter', 'read', 'write', 'sign', 'decide', 'feed-back', 'report', 'check']);

export default function WorklistPage() {
  const { t } = useTranslation();
  const session = useSession();
  const navigate = useNavigate();
  const tabs = tabsOf(session.post.role);
  const [query, setQuery] = useSearchParams();
  const tab = tabs.find((one) => one.key === query.get('tab')) ?? tabs[0];
  const filter = { urgency: query.get('urgency') ?? undefined, text: query.get('text') ?? undefined };
  const page = Number(query.get('page') ?? 1);
  const openId = query.get('open') ?? undefined;
  const counts = useTabCounts(tabs);
  const list = useConsultList(tab ?? { key: '', states: [] }, filter, page);
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
    const action = primaryActionOf(session.post.role, row.state);
    if (action === 'fill') return void navigate(`/consults/${row.task.id ?? ''}/edit`);
    if (action && TO_ROOM.has(action)) return void navigate(`/consults/${row.task.id ?? ''}`);
    openRow(row);
  };
  const active = useRowKeys(rows, openId === undefined, openRow);

  const mayAsk = roleIs(session, 'county-doctor');
  const newButton = mayAsk ? (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => void navigate('/consults/new')}>{t('worklist.new')}</Button>
  ) : undefined;

  return (
    <Page title={t('worklist.title')} actions={newButton}>
      <div className="worklist-bar">
        <Segmented
          className="tabs-segmented"
          value={tab?.key}
          aria-label={t('worklist.tabs')}
          onChange={(key) => change({ tab: key, page: undefined, open: undefined })}
          options={tabs.map((one) => ({
            value: one.key,
            label: <TabLabel name={t(`tab.${one.key}`)} count={counts.data?.[one.key]} alarm={one.only === 'overdue'} />,
          }))}
        />
        <div className="worklist-filters">
          <Select
            allowClear
            placeholder={t('worklist.anyUrgency')}
            aria-label={t('consult.urgency')}
            value={filter.urgency}
            onChange={(urgency: string | undefined) => change({ urgency, page: undefined })}
            options={['stat', 'urgent', 'routine'].map((value) => ({ value, label: t(`urgency.${value}`) }))}
          />
          <Input.Search
            allowClear
            placeholder={t('worklist.search')}
            aria-label={t('worklist.search')}
            defaultValue={filter.text}
            enterButton={<SearchOutlined aria-label={t('worklist.searchDo')} />}
            onSearch={(text) => change({ text: text.trim() || undefined, page: undefined })}
          />
        </div>
      </div>
      <section className="panel" aria-label={tab ? t(`tab.${tab.key}`) : undefined} aria-busy={list.isFetching}>
        {list.error ? <Problem error={list.error} retry={() => void list.refetch()} /> : null}
        {list.isPending ? <Loading what={t('worklist.loading')} /> : null}
        {list.data && rows.length === 0 ? (
          <Empty title={t('worklist.empty', { tab: tab ? t(`tab.${tab.key}`) : '' })}
            help={t(filter.urgency || filter.text ? 'worklist.emptyFilter' : mayAsk ? 'worklist.emptyAsk' : 'worklist.emptyWait')}
            action={mayAsk ? newButton : undefined} />
        ) : null}
        {rows.length > 0 ? <RowTable rows={rows} activeId={active} onOpen={openRow} onAct={act} /> : null}
        {list.data && list.data.total > rows.length && rows.length >= PAGE_SIZE ? (
          <div className="more"><Button onClick={() => change({ page: String(page + 1) })}>{t('worklist.more', { n: list.data.total - rows.length })}</Button></div>
        ) : null}
      </section>
      <p className="keys-note" aria-hidden="true">{t('worklist.keys')}</p>
      <Drawer open={openId !== undefined} onClose={() => change({ open: undefined })} size={640} title={t('worklist.drawer')} destroyOnHidden>
        {openId ? <ConsultDrawer taskId={openId} /> : null}
      </Drawer>
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

/** j and k move, Enter opens; not while a person writes or a drawer is open. */
function useRowKeys(rows: ConsultRow[], listening: boolean, open: (row: ConsultRow) => void): string | undefined {
  const [index, setIndex] = useState(-1);
  useEffect(() => {
    if (!listening) return;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input,textarea,select,[contenteditable]')) return;
      if (event.key === 'j') setIndex((now) => Math.min(rows.length - 1, now + 1));
      if (event.key === 'k') setIndex((now) => Math.max(0, now - 1));
      const row = rows[index];
      if (event.key === 'Enter' && row && !target.closest('button,a')) open(row);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  });
  return rows[index]?.task.id;
}
