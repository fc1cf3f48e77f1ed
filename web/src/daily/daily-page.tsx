// 工作日报: the same figures as 今日, laid out to print, to send as a table and to paste into a message.
import { CopyOutlined, DownloadOutlined, PrinterOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, DatePicker } from 'antd';
import dayjs from 'dayjs';
import { useSearchParams } from 'react-router';
import { call, callJson } from '../fhir';
import { formatDate, formatTime, siteToday } from '../format';
import { pick, useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { copyText, download as saveFile } from '../parts/file';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { problemText, Trouble } from '../parts/problem';
import { toast } from '../parts/toast';
import { changeText, isWholeDay, valueText, type Indicator } from '../today/indicators';
import { unitText } from '../today/today-page';
import { reportText } from './report-text';

export interface ReportSection { code?: string; title: { zh: string; en: string }; indicators?: Indicator[]; text?: { zh: string; en: string } }
export interface DailyReport {
  date: string;
  asOf: string;
  title?: { zh: string; en: string };
  organization?: { name?: string } | string;
  sections: ReportSection[];
  auditHead?: string;
}

export const organizationText = (organization: DailyReport['organization']): string =>
  typeof organization === 'string' ? organization : (organization?.name ?? '');

export default function DailyPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const [query, setQuery] = useSearchParams();
  const date = query.get('date') ?? siteToday();
  const asked = useQuery({
    queryKey: ['indicators', 'daily', date],
    queryFn: ({ signal }) => callJson<DailyReport>(`/reports/daily?date=${date}`, { signal }),
  });
  const { data: report, isPending } = asked;

  const download = async () => {
    try {
      const response = await call(`/reports/daily?date=${date}&format=csv`, { headers: { Accept: 'text/csv' } });
      saveFile(`${t('daily.title')}-${date}.csv`, await response.blob());
    } catch (failure) {
      toast.error(problemText(failure, t).title);
    }
  };
  const copy = async () => {
    if (!report) return;
    const done = await copyText(reportText(report, t, language));
    void (done ? toast.success(t('daily.copied')) : toast.warning(t('daily.copyFailed')));
  };

  return (
    <Page title={t('daily.title')} note={report ? t('today.asOf', { time: formatTime(report.asOf, language) }) : undefined}
      actions={
        <>
          <DatePicker value={dayjs(date)} allowClear={false} aria-label={t('today.date')} onChange={(picked) => setQuery({ date: picked?.format('YYYY-MM-DD') ?? date }, { replace: true })} />
          <Button icon={<CopyOutlined />} disabled={!report} onClick={() => void copy()}>{t('daily.copy')}</Button>
          <Button icon={<DownloadOutlined />} disabled={!report} onClick={() => void download()}>CSV</Button>
          <Button type="primary" icon={<PrinterOutlined />} disabled={!report} onClick={() => window.print()}>{t('print.do')}</Button>
        </>
      }>
      <Trouble asked={asked} />
      {isPending ? <Loading /> : null}
      {report ? <ReportSheet report={report} /> : null}
    </Page>
  );
}

function ReportSheet({ report }: { report: DailyReport }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const whole = isWholeDay(report.date, report.asOf);
  const empty = report.sections.every((section) => (section.indicators ?? []).length === 0);
  return (
    <article className="panel daily-sheet">
      <h2 className="daily-title">{pick(report.title, language) || t('daily.title')}</h2>
      <p className="daily-sub">{[organizationText(report.organization), formatDate(report.date, language), t('today.asOf', { time: formatTime(report.asOf, language) })].filter(Boolean).join(' · ')}</p>
      {empty ? <Empty title={t('today.none')} help={t('today.noneHelp')} /> : null}
      {report.sections.map((section, index) => (
        <section key={index}>
          <h3>{`${index + 1}. ${pick(section.title, language)}`}</h3>
          {section.text ? <p>{pick(section.text, language)}</p> : null}
          {(section.indicators ?? []).length > 0 ? (
            <table className="figures daily-table">
              <thead><tr><th scope="col">{t('daily.figure')}</th><th scope="col">{t('daily.value')}</th><th scope="col">{t(whole ? 'daily.before' : 'daily.previous')}</th><th scope="col">{t('daily.unit')}</th><th scope="col">{t('daily.rule')}</th></tr></thead>
              <tbody>
                {(section.indicators ?? []).map((indicator) => (
                  <tr key={indicator.code}>
                    <th scope="row">{pick(indicator.name, language)}</th>
                    <td className="daily-value">{indicator.value === null ? t('today.unknown') : valueText(indicator)}</td>
                    <td className="daily-before" data-label={t(whole ? 'daily.before' : 'daily.previous')}>{whole ? changeText(indicator) : valueText(indicator, indicator.previous)}</td>
                    <td className="daily-text">{unitText(indicator.unit, language)}</td>
                    <td className="daily-rule">{pick(indicator.rule, language)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : null}
        </section>
      ))}
      {report.auditHead ? <p className="hint daily-audit">{t('daily.audit')} <code>{report.auditHead}</code></p> : null}
    </article>
  );
}
