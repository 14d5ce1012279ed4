export { init, registerTheme } from 'echarts/core';
