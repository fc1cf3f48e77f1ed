// A fault of the screen itself; after an update of the program the usual cause is a part that the server no longer has.
import { Button, Result } from 'antd';
import { useTranslation } from 'react-i18next';

export function PageFault() {
  const { t } = useTranslation();
  return (
    <Result
      status="warning"
      title={<h1 className="result-title">{t('problem.screen')}</h1>}
      subTitle={t('problem.screenHelp')}
      extra={
        <Button type="primary" onClick={() => window.location.reload()}>
          {t('common.reload')}
        </Button>
      }
    />
  );
}
