// 今日: the day's figures, each with its rule and the list of what it counted.
import { DesktopOutlined, DownloadOutlined, InfoCircleOutlined } from '@ant-design/icons';
import { Button, DatePicker, Drawer, Select, Tooltip } from 'antd';
import dayjs from 'dayjs';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { formatDate, formatNumber, formatShort, formatTime, siteToday, type Language } from '../format';
import { pick, type TFunction, useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { csvOf, download } from '../parts/file';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { isBarred, Trouble } from '../parts/problem';
import { roleIs, useSession } from '../session';
import { changeText, isWholeDay, useDrill, useFigures, valueText, type Figures, type Indicator } from './indicators';

export function unitText(unit: Indicator['unit'], language: 'zh' | 'en'): string {
  return typeof unit === 'string' ? unit : pick(unit, language);
}

export default function TodayPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const [query, setQuery] = useSearchParams();
  const date = query.get('date') ?? siteToday();
  const organization = query.get('org') ?? undefined;
  const asked = useFigures(date, organization);
  const { data, isPending } = asked;
  // Which houses there are to choose from is told with the figures of all of them.
  const all = useFigures(date, undefined);
  const houses = all.data?.organizations ?? [];
  const [open, setOpen] = useState<Indicator>();
  const session = useSession();
  const change = (name: string, value: string | undefined) =>
    setQuery((before) => {
      if (value) before.set(name, value);
      else before.delete(name);
      return before;
    }, { replace: true });

  return (
    <Page title={t('today.title')} note={data ? [data.organization?.name, t('today.asOf', { time: formatTime(data.asOf, language) })].filter(Boolean).join(' · ') : undefined}
      actions={
        <>
          <DatePicker value={dayjs(date)} allowClear={false} aria-label={t('today.date')} onChange={(picked) => change('date', picked ? picked.format('YYYY-MM-DD') : undefined)} />
          {houses.length > 1 ? (
            <Select className="org-select" allowClear placeholder={t('today.allOrganizations', { n: houses.length })} aria-label={t('today.organization')} value={organization}
              onChange={(value: string | undefined) => change('org', value)} options={houses.map((house) => ({ value: house.id, label: house.name ?? house.id }))} />
          ) : null}
          {roleIs(session, 'commander', 'duty-head') ? <Button icon={<DesktopOutlined />} href="/screen" target="_blank">{t('wall.open')}</Button> : null}
          <Button icon={<DownloadOutlined />} disabled={!data} title={t('today.export')} onClick={() => data && exportFigures(data, t, language)}>CSV</Button>
        </>
      }>
      <Trouble asked={asked} />
      {isPending ? <Loading /> : null}
      {data && data.indicators.length === 0 ? <Empty title={t('today.none')} help={t('today.noneHelp')} /> : null}
      <ul className="figure-cards">
        {data?.indicators.map((indicator) => <FigureCard key={indicator.code} indicator={indicator} figures={data} onOpen={() => setOpen(indicator)} />)}
      </ul>
      <p className="hint">{t('today.dayEnds')}</p>
      <Drawer open={open !== undefined} onClose={() => setOpen(undefined)} size="min(520px, 100vw)" title={pick(open?.name, language)} destroyOnHidden>
        {open ? <DrillList indicator={open} /> : null}
      </Drawer>
    </Page>
  );
}

function exportFigures(figures: Figures, t: TFunction, language: Language): void {
  const head = ['today.date', 'today.organization', 'daily.figure', 'daily.value', 'today.previous', 'daily.unit', 'today.countedN', 'daily.rule', 'today.asOfWord'].map((key) => t(key));
  const rows = figures.indicators.map((one) => [
    figures.date, figures.organization?.name ?? '', pick(one.name, language), one.value, one.previous ?? null, unitText(one.unit, language), one.counted ?? null,
    pick(one.rule, language), formatTime(figures.asOf, language),
  ]);
  download(`${t('today.title')}-${figures.date}.csv`, csvOf([head, ...rows]));
}

function FigureCard({ indicator, figures, onOpen }: { indicator: Indicator; figures: Figures; onOpen: () => void }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const rule = pick(indicator.rule, language);
  const known = indicator.value !== null && indicator.value !== undefined;
  const whole = isWholeDay(figures.date, figures.asOf);
  return (
    <li className="panel figure-card">
      <p className="figure-name">
        {pick(indicator.name, language)}
        {rule ? <Tooltip title={rule}><Button type="text" size="small" className="rule-button" icon={<InfoCircleOutlined />} aria-label={t('today.rule', { rule })} /></Tooltip> : null}
      </p>
      <p className="figure-value">{known ? valueText(indicator) : t('today.unknown')} {known ? <span>{unitText(indicator.unit, language)}</span> : null}</p>
      <p className="figure-parts">
        {indicator.denominator !== undefined && indicator.denominator !== null && indicator.denominator !== 0 && indicator.numerator !== undefined
          ? t('today.parts', { n: formatNumber(indicator.numerator), d: formatNumber(indicator.denominator) }) : ' '}
      </p>
      <p className="figure-before">
        {whole ? t('today.change', { change: changeText(indicator) }) : null}
        {whole ? ' · ' : ''}{t('today.before', { value: indicator.previous === null || indicator.previous === undefined ? t('today.unknown') : valueText(indicator, indicator.previous) })}
      </p>
      <p className="figure-asof">{t('today.asOf', { time: whole ? t('today.dayEnd', { date: formatDate(figures.date, language) }) : formatShort(figures.asOf, language) })}</p>
      {indicator.drill && indicator.counted !== 0 ? (
        <Button type="link" size="small" onClick={onOpen}>{t('today.counted', { n: indicator.counted ?? '' })}</Button>
      ) : null}
    </li>
  );
}

function DrillList({ indicator }: { indicator: Indicator }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const asked = useDrill(indicator.drill);
  const { data } = asked;
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!data) return <Loading />;
  const target = (reference: string) => {
    const [type, id] = reference.split('/');
    return type === 'Task' ? `/consults/${id ?? ''}` : type === 'ImagingStudy' ? `/images/${id ?? ''}` : undefined;
  };
  return (
    <>
      <p className="hint">{pick(indicator.rule, language)}</p>
      <p>{t('today.visible', { n: data.total, m: data.visible })}</p>
      {data.resources.length === 0 ? <Empty title={t('today.nothingCounted')} /> : (
        <ul className="drill">
          {data.resources.map((one) => {
            const to = target(one.reference);
            const text = one.display ?? one.reference;
            return (
              <li key={one.reference}>
                <span>{to ? <Link to={to}>{text}</Link> : text}</span>
                <span className="drill-time">{formatTime(one.time, language)}</span>
                <span className="drill-value">{typeof one.value === 'number' ? formatNumber(one.value) : one.value}</span>
              </li>
            );
          })}
        </ul>
      )}
    </>
  );
}
