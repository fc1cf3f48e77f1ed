import { useTranslation } from '../i18n';

export function Loading({ what }: { what?: string }) {
  const { t } = useTranslation();
  return (
    <div className="loading" role="status">
      <span className="spinner" aria-hidden />
      <span>{what ?? t('common.loading')}</span>
    </div>
  );
}
