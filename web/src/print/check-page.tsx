// For whoever holds a printed report: is it genuine? No sign-in, and nothing about the patient.
import { CheckCircleFilled, CloseCircleFilled } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { useParams, useSearchParams } from 'react-router';
import { callJson } from '../fhir';
import { useTranslation } from '../i18n';
import { Loading } from '../parts/loading';
import { usePageTitle } from '../parts/page';
import { Problem } from '../parts/problem';
import { LanguageSwitch } from '../shell/language-switch';

interface Verdict { genuine: boolean; date?: string; hospitals?: string[]; pages?: number | null }

export default function CheckPage() {
  const { t } = useTranslation();
  const { document = '', mark = '' } = useParams();
  const [query] = useSearchParams();
  const copy = query.get('copy');
  usePageTitle(t('check.title'));
  const { data, error, refetch } = useQuery({
    queryKey: ['verify', document, mark, copy],
    queryFn: ({ signal }) => callJson<Verdict>(`/verify/${encodeURIComponent(document)}/${encodeURIComponent(mark)}${copy ? `?copy=${encodeURIComponent(copy)}` : ''}`, { signal }),
    retry: false,
  });
  const facts: [string, string][] = [
    ['date', data?.date ?? ''], ['hospitals', (data?.hospitals ?? []).join(t('common.listMark'))],
    ['pages', data?.pages ? t('check.pagesN', { n: data.pages }) : ''], ['copy', data?.genuine && copy ? t('print.copyNo', { n: copy }) : ''],
  ];
  return (
    <main className="check-page">
      <header className="brand-line"><strong>{t('app.name')}</strong> <LanguageSwitch /></header>
      <h1>{t('check.title')}</h1>
      {error ? <Problem error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading /> : null}
      {data ? (
        <section className={`panel check-verdict ${data.genuine ? 'check-genuine' : 'check-false'}`} role="status" data-genuine={data.genuine}>
          {data.genuine ? <CheckCircleFilled aria-hidden /> : <CloseCircleFilled aria-hidden />}
          <h2>{t(data.genuine ? 'check.genuine' : 'check.false')}</h2>
          <p>{t(data.genuine ? 'check.genuineHelp' : 'check.falseHelp')}</p>
          <dl className="facts">{facts.filter(([, text]) => text).map(([key, text]) => <div key={key}><dt>{t(`check.${key}`)}</dt><dd>{text}</dd></div>)}</dl>
        </section>
      ) : null}
    </main>
  );
}
